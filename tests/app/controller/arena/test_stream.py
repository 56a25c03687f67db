"""What may be shown when: the pace of the slower side, hidden names, and who meets whom."""

from __future__ import annotations

import json
import random
import threading
import time
from collections import Counter

import pytest

from app.battle_protocol import MASK
from app.controller.arena.masking import Mask
from app.controller.arena.pace import Pace
from app.controller.arena.pairs import PairVotes, candidates, draw_pair
from app.errors import OneModel
from app.protocol import ModelInfo
from tests.app.controller.arena.conftest import Events, Ring, model, text_of
from tests.app.controller.conftest import Desk
from tests.pictures import question


class Clock:
    """Seconds that pass when told."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def shown(pace: Pace) -> dict[str, str]:
    return dict(pace.show())


# --- pace -----------------------------------------------------------------------------------------


def test_each_side_shows_as_many_characters_as_the_other_has() -> None:
    pace = Pace(Clock())
    pace.take("left", "a long answer")
    assert shown(pace) == {}
    pace.take("right", "four")
    assert shown(pace) == {"left": "a lo", "right": "four"}
    pace.take("right", "th")
    assert shown(pace) == {"left": "ng", "right": "th"}


def test_a_short_answer_that_ended_early_waits_for_the_slower_side() -> None:
    pace = Pace(Clock())
    pace.take("left", "Yes.")
    pace.end("left")
    pace.take("right", "I")
    assert shown(pace) == {"left": "Y", "right": "I"} and not pace.over("left")
    pace.take("right", " think so")
    assert shown(pace)["left"] == "es." and pace.over("left")


def test_the_rest_of_a_longer_answer_does_not_come_at_a_stroke() -> None:
    clock = Clock()
    pace = Pace(clock)
    pace.take("left", "x" * 1000)
    pace.end("left")
    pace.take("right", "y")
    pace.show()
    clock.now = 10.0
    pace.take("right", "y" * 499)
    pace.end("right")
    assert len(shown(pace)["left"]) == 499 and pace.over("right")
    clock.now = 11.0
    assert len(shown(pace)["left"]) == 50, "500 characters in 10 seconds are 50 a second"
    assert pace.holds()
    clock.now = 100.0
    pace.show()
    assert pace.over("left") and not pace.holds()


def test_after_a_failure_the_other_side_comes_as_it_is() -> None:
    pace = Pace(Clock())
    pace.take("left", "all of it")
    pace.end("right", failed=True)
    assert shown(pace) == {"left": "all of it"} and pace.over("right")


def test_nothing_of_the_faster_side_is_shown_ahead_of_the_slower_one(desk: Desk) -> None:
    fast = model("fast-one", words=("word ",) * 50)
    gate = threading.Semaphore(0)
    desk.add_worker(fast)
    desk.add_worker(model("slow-two", words=("snail ",) * 10, gate=gate))
    ring, events = Ring(desk), []

    def follow() -> None:
        body = {"messages": [question("Race?")]}
        with desk.client.stream("POST", "/api/battles", json=body, headers=ring.headers) as reply:
            for line in reply.iter_lines():
                if line.startswith("data: {"):
                    events.append(json.loads(line[6:]))

    thread = threading.Thread(target=follow)
    thread.start()
    while fast.steps < 50:
        time.sleep(0.01)
    time.sleep(0.2)
    assert [event["type"] for event in events] == ["battle"]
    gate.release(10)
    thread.join()
    texts = [event for event in events if event["type"] == "text"]
    before_end = Counter[str]()
    for event in texts:
        before_end[event["side"]] += len(event["text"])
        if max(before_end.values()) <= 60:
            assert before_end["left"] == before_end["right"] or event["side"] == "left"
    found: Events = events
    assert {text_of(found, "left"), text_of(found, "right")} == {"word " * 50, "snail " * 10}


# --- hidden names ---------------------------------------------------------------------------------


def masked(text: str, *models: str, size: int = 3) -> tuple[str, bool]:
    """The text as it is shown when it comes in pieces."""
    mask = Mask(models or ("llava-tiny-stage2",))
    pieces = [mask.feed(text[at : at + size]) for at in range(0, len(text), size)]
    return "".join([*pieces, mask.finish()]), mask.hit


@pytest.mark.parametrize(
    "name",
    [
        "llava-tiny-stage2",
        "LLaVA-Tiny-Stage2",
        "LLaVA tiny stage2",
        "llava tiny",
        "LLaVA",
        "LLaVA-1.5",
        "stage2",
        "GPT-4o",
        "Qwen2.5-VL",
    ],
)
@pytest.mark.parametrize("size", [1, 4, 1000])
def test_names_are_hidden_however_the_text_is_cut(name: str, size: int) -> None:
    text, hit = masked(f"Hello, I am {name}, here to help you with this picture.", size=size)
    assert hit and text == f"Hello, I am {MASK}, here to help you with this picture."


def test_everyday_words_of_an_id_stay() -> None:
    text = "A tiny star on a stage, and no cats. It is a llavatory sign."
    assert masked(text, "llava-tiny-stage2", "team/cats") == (
        text.replace("cats", MASK),
        True,
    )
    assert masked("A tiny star.", "llava-tiny-stage2") == ("A tiny star.", False)


def test_an_organisation_and_its_model() -> None:
    assert masked("I am llava-hf/llava-1.5-7b-hf.", "llava-hf/llava-1.5-7b-hf")[0] == (
        f"I am {MASK}."
    )


def test_names_between_chinese_characters() -> None:
    assert masked("我是LLaVA模型", "a-model")[0] == f"我是{MASK}模型"


def test_an_answer_that_names_its_model_is_masked_marked_and_kept(desk: Desk) -> None:
    desk.add_worker(model("alpha-one", words=("I am ", "alpha", "-one, ", "a model.")))
    desk.add_worker(model("beta-two", words=("Just ", "a ", "model.")))
    ring = Ring(desk)
    events = ring.battle()
    battle_id = events[0]["battle_id"]
    texts = {text_of(events, "left"), text_of(events, "right")}
    assert texts == {f"I am {MASK}, a model.", "Just a model."}
    ended = [event["masked"] for event in events if event["type"] == "ended"]
    assert sorted(ended) == [False, True]
    turn = ring.get(f"/api/battles/{battle_id}")["turns"][0]
    assert MASK in turn["left"]["text"] + turn["right"]["text"]
    ring.vote(battle_id)
    turn = ring.get(f"/api/battles/{battle_id}")["turns"][0]
    told = turn["left"] if turn["left"]["masked"] else turn["right"]
    assert told["text"] == "I am alpha-one, a model."


# --- pairs ----------------------------------------------------------------------------------------

MODELS = [ModelInfo(id=name) for name in "abc"]


def drawn(rule: str, votes: dict[tuple[str, str], PairVotes], times: int = 600) -> Counter[str]:
    rng = random.Random(0)
    pairs = (draw_pair(MODELS, rule, votes, rng) for _ in range(times))  # type: ignore[arg-type]
    return Counter(left.id + right.id for left, right in pairs)


def test_uniform_pairs_and_sides() -> None:
    found = drawn("uniform", {("a", "b"): PairVotes(50, 1000)})
    assert len(found) == 6 and min(found.values()) > 70


def test_uncertain_pairs_come_more_often() -> None:
    many, few = PairVotes(500, 1000), PairVotes(5, 10)
    found = drawn("uncertainty", {("a", "b"): many, ("a", "c"): many, ("b", "c"): few})
    assert found["bc"] + found["cb"] > 550
    assert min(found["bc"], found["cb"]) > 200


def test_only_models_of_the_arena_take_part() -> None:
    assert [m.id for m in candidates(MODELS, ["a", "c", "x"])] == ["a", "c"]
    with pytest.raises(OneModel, match=r"of those in the arena \(a, x\) only 'a'"):
        candidates(MODELS, ["a", "x"])
    with pytest.raises(OneModel, match="none is being served"):
        candidates([], [])
