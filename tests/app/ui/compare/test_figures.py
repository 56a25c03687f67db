"""What stands under a compared answer."""

from __future__ import annotations

import re

from app.protocol import StoredAnswer
from app.ui.compare.figures import figures_html, tokens_per_second
from app.ui.language import load_texts

TEXTS = load_texts("en")
ANSWER = StoredAnswer(
    id="a1",
    question_id="q1",
    text="A red circle.",
    model="m",
    precision="8bit",
    finish_reason="stop",
    created_at="2026-01-01T00:00:00Z",
    completion_tokens=5,
    first_token_seconds=0.5,
    total_seconds=1.5,
)


def test_speed_is_that_after_the_first_token() -> None:
    assert tokens_per_second(ANSWER) == 4.0
    for lacking in (
        {"completion_tokens": 1},
        {"first_token_seconds": None},
        {"total_seconds": 0.5},
    ):
        assert tokens_per_second(ANSWER.model_copy(update=lacking)) is None


def test_time_speed_tokens_precision_and_the_way_on() -> None:
    shown = figures_html(ANSWER, "c1", TEXTS)
    assert re.findall("<dd>(.*?)</dd>", shown) == ["0.50 s", "4.0", "5", "8 bit"]
    assert 'href="./?chat=c1"' in shown


def test_nothing_is_said_of_an_answer_that_is_being_written_and_nothing_unknown() -> None:
    assert figures_html(ANSWER.model_copy(update={"finish_reason": None}), "c1", TEXTS) == ""
    assert figures_html(None, "c1", TEXTS) == ""
    unknown = {"completion_tokens": 0, "first_token_seconds": None, "precision": "<b>"}
    shown = figures_html(ANSWER.model_copy(update=unknown), None, TEXTS)
    assert re.findall("<dd>(.*?)</dd>", shown) == ["&lt;b&gt;"]
