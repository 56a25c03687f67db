"""Children are restarted with back-off, logged, and stopped; time is the test's own clock."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from app.child import KEPT_LOGS, Child, ChildSpec, rotate
from app.supervisor import ChildFailed, Supervisor
from tests.waiting import PATIENCE, eventually


class Clock:
    """Seconds that pass only when the test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


SLEEPER = "import time\nprint('up', flush=True)\ntime.sleep(60)"
STUBBORN = f"import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n{SLEEPER}"
CRASHER = "import sys\nprint('no such model')\nsys.exit(3)"


def spec(program: str, name: str = "worker") -> ChildSpec:
    return ChildSpec(name, [sys.executable, "-c", program])


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def supervise(tmp_path: Path, said: list[str], clock: Clock) -> Iterator[Callable[..., Supervisor]]:
    """Makes started supervisors, and ends their children after the test."""
    made: list[Supervisor] = []

    def make(*specs: ChildSpec) -> Supervisor:
        made.append(Supervisor(specs, tmp_path, said.append, clock, time.sleep))
        made[-1].start()
        return made[-1]

    yield make
    for supervisor in made:
        supervisor.stop(0)


def crash(supervisor: Supervisor) -> None:
    """Let the (only) child end, and the supervisor see it."""
    eventually(lambda: supervisor.children[0].ended() is not None)
    supervisor.poll()


def restarted(supervisor: Supervisor) -> bool:
    """Whether this poll started the child again."""
    before = supervisor.children[0].pid
    supervisor.poll()
    return supervisor.children[0].pid != before


def test_a_crashed_child_comes_back_after_pauses_that_double(
    supervise: Callable[..., Supervisor], clock: Clock, said: list[str]
) -> None:
    supervisor = supervise(spec(CRASHER))
    for pause in (0.5, 1.0, 2.0, 4.0):
        crash(supervisor)
        clock.now += pause - 0.01
        assert not restarted(supervisor)
        clock.now += 0.01
        assert restarted(supervisor)
    assert len(said) == 4
    assert "The worker ended with status 3; starting it again in 4 s" in said[-1]


def test_the_pause_has_a_limit(supervise: Callable[..., Supervisor], clock: Clock) -> None:
    supervisor = supervise(spec(CRASHER))
    for _ in range(9):
        crash(supervisor)
        clock.now += 30.0
        assert restarted(supervisor)


def test_a_stable_minute_forgets_earlier_crashes(
    supervise: Callable[..., Supervisor], clock: Clock
) -> None:
    supervisor = supervise(spec(CRASHER))
    for _ in range(4):
        crash(supervisor)
        clock.now += 30.0
        assert restarted(supervisor)
    clock.now += 60.0
    crash(supervisor)
    clock.now += 0.5
    assert restarted(supervisor)


def test_one_crash_leaves_the_other_children_alone(
    supervise: Callable[..., Supervisor], clock: Clock
) -> None:
    supervisor = supervise(spec(SLEEPER, "controller"), spec(SLEEPER, "worker"))
    controller, worker = supervisor.children
    kept = controller.pid
    assert worker.pid
    os.kill(worker.pid, signal.SIGKILL)
    eventually(lambda: worker.ended() is not None)
    supervisor.poll()
    clock.now += 1
    supervisor.poll()
    assert controller.pid == kept and controller.ended() is None
    assert worker.ended() is None


def test_a_child_that_cannot_start_is_reported_with_its_last_lines(
    supervise: Callable[..., Supervisor],
) -> None:
    supervisor = supervise(spec(CRASHER))
    eventually(lambda: supervisor.children[0].ended() is not None)
    with pytest.raises(ChildFailed) as caught:
        supervisor.check_started()
    assert caught.value.message == "The worker ended with status 3:\nno such model"
    assert "worker.log" in caught.value.remedy


def test_running_children_are_no_failure(supervise: Callable[..., Supervisor]) -> None:
    supervise(spec(SLEEPER)).check_started()


def test_output_goes_to_the_log_and_warnings_to_the_person(
    supervise: Callable[..., Supervisor], tmp_path: Path, said: list[str]
) -> None:
    lines = ["2026-01-01 10:00:00,123 INFO app: quiet", "2026-01-01 10:00:00,124 WARNING app: loud"]
    supervisor = supervise(spec(f"print({lines[0]!r})\nprint({lines[1]!r})"))
    supervisor.children[0].wait()
    assert (tmp_path / "worker.log").read_text().splitlines() == lines
    assert said == ["worker: loud"]


def test_stop_ends_all_children(supervise: Callable[..., Supervisor], tmp_path: Path) -> None:
    supervisor = supervise(spec(SLEEPER, "a"), spec(SLEEPER, "b"))
    eventually(lambda: all("up" in child.tail for child in supervisor.children))
    supervisor.stop(PATIENCE)
    assert [child.ended() for child in supervisor.children] == [-signal.SIGTERM] * 2


def test_stop_kills_what_does_not_end(tmp_path: Path) -> None:
    supervisor = Supervisor([spec(STUBBORN)], tmp_path)
    supervisor.start()
    eventually(lambda: "up" in supervisor.children[0].tail)
    supervisor.stop(0.2)
    assert supervisor.children[0].ended() == -signal.SIGKILL


def test_a_second_signal_does_not_wait(supervise: Callable[..., Supervisor]) -> None:
    supervisor = supervise(spec(STUBBORN))
    eventually(lambda: "up" in supervisor.children[0].tail)
    supervisor.stop(3600, hurry=lambda: True)
    assert supervisor.children[0].ended() == -signal.SIGKILL


def test_stop_before_a_start_and_twice(tmp_path: Path) -> None:
    supervisor = Supervisor([spec(SLEEPER)], tmp_path)
    supervisor.stop(1)
    supervisor.start()
    supervisor.stop(PATIENCE)
    supervisor.stop(PATIENCE)
    assert supervisor.children[0].ended() is not None


def test_logs_of_earlier_starts_are_kept_but_not_for_ever(tmp_path: Path) -> None:
    log = tmp_path / "worker.log"
    for start in range(KEPT_LOGS + 3):
        rotate(log)
        log.write_text(str(start))
    kept = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert kept["worker.log"] == "7" and kept["worker.1.log"] == "6"
    assert len(kept) == KEPT_LOGS


def test_children_end_when_the_launcher_is_killed(tmp_path: Path) -> None:
    child = "from app.child import end_with_launcher\nend_with_launcher()\n" + SLEEPER
    launcher = (
        "import sys, time\nfrom pathlib import Path\n"
        "from app.child import Child, ChildSpec\n"
        f"spec = ChildSpec('worker', [sys.executable, '-c', {child!r}])\n"
        f"child = Child(spec, Path({str(tmp_path / 'worker.log')!r}), print)\n"
        "child.start()\nprint(child.pid, flush=True)\ntime.sleep(60)"
    )
    outer = Child(spec(launcher, "launcher"), tmp_path / "launcher.log", print)
    outer.start()
    eventually(lambda: "up" in outer.tail)
    inner = psutil.Process(int(outer.tail[0]))
    outer.kill()
    outer.wait()
    inner.wait(timeout=PATIENCE)
    assert not inner.is_running()
