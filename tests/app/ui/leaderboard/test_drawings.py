"""The leaderboard as HTML: names are text, uncertainty is said, every drawing has its numbers."""

from __future__ import annotations

import re

import pytest

from app.leaderboard_protocol import Agreement, DayCount, PositionBias, Wins
from app.ui.language import LANGUAGES, load_texts
from app.ui.leaderboard.matrix import matrix_html
from app.ui.leaderboard.plots import MOST_DAYS, days_html, position_html
from app.ui.leaderboard.standings import scale_of, standings_html
from app.ui.leaderboard.trust import agreement_html, not_counted_html
from app.ui.leaderboard.view import board_html
from tests.app.ui.leaderboard.sample import BOARD, EVIL, NAMES

TEXTS = load_texts("en")


@pytest.mark.parametrize("language", LANGUAGES)
def test_html_in_a_models_name_is_text_everywhere(language: str) -> None:
    shown = board_html(BOARD, load_texts(language))  # type: ignore[arg-type]
    assert EVIL not in shown and shown.count("&lt;img src=x onerror=alert(1)&gt;") == 3


def test_few_votes_have_no_rank_and_say_so() -> None:
    rows = re.findall("<tr.*?</tr>", standings_html(BOARD, TEXTS))[1:]
    assert [re.search('rank">(.*?)<', row)[1] for row in rows] == ["1", "2", "–"]  # type: ignore[index]
    assert "too few votes: 12 of 30" in rows[2] and "too few" not in rows[0]


def test_bars_stand_where_their_numbers_are() -> None:
    low, high = scale_of(BOARD.standings)
    first = standings_html(BOARD, TEXTS).split("</tr>")[1]
    start, width = map(float, re.search(r"left:([\d.]+)%;width:([\d.]+)%", first).groups())  # type: ignore[union-attr]
    best = BOARD.standings[0]
    assert start == pytest.approx(100 * (best.low - low) / (high - low), abs=0.1)
    assert width == pytest.approx(100 * (best.high - best.low) / (high - low), abs=0.1)


def test_a_pair_without_votes_is_no_draw() -> None:
    shown = matrix_html(BOARD.wins, TEXTS)
    assert shown.count("no vote") == 2 and shown.count('class="self"') == len(NAMES)
    assert re.findall("<b>(.*?)</b>", shown) == ["71%", "90%", "29%", "10%"]
    assert matrix_html(Wins(names=["a"], votes=[[0]], shares=[[None]]), TEXTS) == ""


def test_three_who_always_choose_left_are_seen() -> None:
    always = PositionBias(left=45, right=0, neither=0, share=1.0, low=0.92, high=1.0)
    assert "favour one side" in position_html(always, TEXTS)
    assert "No sign of a bias" in position_html(BOARD.position, TEXTS)
    nobody = PositionBias(left=0, right=0, neither=3, share=None, low=None, high=None)
    assert "Nobody has chosen" in position_html(nobody, TEXTS)


def test_days_are_drawn_and_told() -> None:
    shown = days_html(BOARD.days, TEXTS)
    assert shown.count("<rect") == 2 * len(BOARD.days)
    assert 'role="img" aria-label="' in shown and "<td>2026-01-14</td>" in shown
    many = [DayCount(day=f"day-{at}", counted=1, not_counted=0) for at in range(MOST_DAYS + 9)]
    assert days_html(many, TEXTS).count("<g>") == MOST_DAYS
    assert "no votes" in days_html([], TEXTS)
    nothing = [DayCount(day="2026-01-01", counted=0, not_counted=0)]
    assert 'height="0.0"' in days_html(nothing, TEXTS)


def test_rows_that_do_not_count_have_their_reasons() -> None:
    shown = not_counted_html(BOARD, TEXTS)
    assert "9.2% of the rows: 12 of 130." in shown
    assert "over the votes a day" in shown and "strange" in shown, "unknown reasons as they are"
    assert "3f9a0c12" in shown and "1.8e-12" in shown


def test_agreement_of_voters_and_of_judges() -> None:
    shown = agreement_html(BOARD.agreement, BOARD.judge, TEXTS)
    assert "71% of 31 pairs" in shown and "Judges and people: 65%" in shown
    none = Agreement(questions=0, pairs=0, share=None, alpha=None)
    assert "voted on twice" in agreement_html(none, None, TEXTS)
    assert "of a person and of a judge" in agreement_html(none, none, TEXTS)


def test_an_empty_database_says_where_to_vote() -> None:
    empty = BOARD.model_copy(
        update={"standings": [], "days": [], "wins": Wins(names=[], votes=[], shares=[])}
    )
    assert "Vote in the arena" in board_html(empty, TEXTS)
