"""Workers live as long as they renew, and the least loaded one is picked."""

from __future__ import annotations

import pytest

from app.controller.registry import Registry
from app.errors import BadRequest, NoWorker, UnknownModel
from app.machines import LoadingModel, MachineStatus
from app.protocol import ModelInfo, WorkerStatus


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def status(name: str, *models: str, active: int = 0, draining: bool = False) -> WorkerStatus:
    infos = [ModelInfo(id=model) for model in models]
    return WorkerStatus(
        worker_id=name, url=f"http://{name}:1", models=infos, active=active, draining=draining
    )


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def registry(clock: Clock) -> Registry:
    return Registry(clock, lease_seconds=9)


def test_a_worker_lives_until_its_lease_ends(registry: Registry, clock: Clock) -> None:
    registry.register(status("a", "m"))
    clock.now += 8.9
    assert [w.worker_id for w in registry.workers()] == ["a"]
    clock.now += 0.2
    assert registry.workers() == [] and registry.models() == []


def test_renewing_one_worker_neither_keeps_nor_ends_another(
    registry: Registry, clock: Clock
) -> None:
    registry.register(status("dead", "m"))
    registry.register(status("alive", "m"))
    clock.now += 8
    registry.register(status("alive", "m"))
    clock.now += 5
    assert [w.worker_id for w in registry.workers()] == ["alive"]


def test_workers_that_never_come_back_are_forgotten(registry: Registry, clock: Clock) -> None:
    for number in range(100):
        registry.register(status(f"restarted-{number}", "m"))
        clock.now += 10
    assert len(registry._entries) == 1


def test_the_least_loaded_worker_is_picked(registry: Registry) -> None:
    registry.register(status("busy", "m", active=3))
    registry.register(status("idle", "m"))
    assert registry.pick("m").worker_id == "idle"
    assert registry.pick("m", without={"idle"}).worker_id == "busy"


def test_requests_sent_count_before_the_worker_reports_them(registry: Registry) -> None:
    registry.register(status("a", "m"))
    registry.register(status("b", "m"))
    registry.sent("a")
    assert registry.pick("m").worker_id == "b"
    registry.ended("a")
    assert registry.pick("m").worker_id == "a"


def test_no_name_means_the_first_model(registry: Registry) -> None:
    registry.register(status("a", "first", "second"))
    assert registry.pick("").model.id == "first"


def test_models_are_listed_once_in_order(registry: Registry) -> None:
    registry.register(status("a", "m", "n"))
    registry.register(status("b", "n", "o"))
    assert [model.id for model in registry.models()] == ["m", "n", "o"]


def test_a_name_nobody_served_is_unknown_and_the_served_ones_are_named(registry: Registry) -> None:
    registry.register(status("a", "m"))
    with pytest.raises(UnknownModel) as caught:
        registry.pick("typo")
    assert "'typo'" in caught.value.message and "m" in caught.value.remedy


def test_a_model_whose_worker_left_has_no_worker(registry: Registry) -> None:
    registry.register(status("a", "m"))
    registry.register(status("b", "other"))
    registry.leave("a")
    with pytest.raises(NoWorker, match="'m'"):
        registry.pick("m")


def test_without_any_worker_it_says_so(registry: Registry) -> None:
    with pytest.raises(NoWorker):
        registry.pick("")
    with pytest.raises(NoWorker):
        registry.pick("m")


def test_a_draining_worker_gets_nothing_new(registry: Registry) -> None:
    registry.register(status("a", "m", draining=True))
    with pytest.raises(NoWorker):
        registry.pick("m")
    assert registry.models() == []


def test_a_worker_that_loads_is_seen_and_asked_nothing(registry: Registry) -> None:
    loading = LoadingModel(id="large", share=0.5)
    registry.register(status("w1").model_copy(update={"loading": [loading]}))
    assert registry.machines() == [MachineStatus(worker_id="w1", loading=[loading])]
    assert registry.models() == []
    with pytest.raises(NoWorker):
        registry.pick("")


def test_other_schemes_are_refused(registry: Registry) -> None:
    with pytest.raises(BadRequest, match="file:"):
        registry.register(WorkerStatus(worker_id="x", url="file:///etc/passwd", models=[]))
