"""What stands over each side, and on the ballot."""

from __future__ import annotations

from app.battle_protocol import SideAnswer, SideError, Vote, VoteChoice
from app.ui.arena.screen import Ballot, note_on
from app.ui.arena.view import ballot_html, side_html
from app.ui.language import load_texts
from tests.app.ui.arena.fake_arena import MODELS, NOW

TEXTS = load_texts("en")


def vote(choice: VoteChoice, counted: bool = True) -> Vote:
    return Vote(
        id="v",
        battle_id="b",
        choice=choice,
        reason=None,
        turn=1,
        counted=counted,
        not_counted=None if counted else "side_failed",
        changes=0,
        created_at=NOW,
    )


def test_a_side_has_a_letter_until_its_name_is_told_as_text() -> None:
    assert "hidden until you vote" in side_html("A", None, None, TEXTS)
    told = side_html("A", MODELS.left, "left", TEXTS)
    assert "&lt;b&gt;one&lt;/b&gt;" in told and "<b>" not in told
    assert "your choice" in told and "32 bit" in told and "./?chat=c1" in told
    assert "your choice" not in side_html("B", MODELS.right, "left", TEXTS)


def test_the_ballot_says_what_to_press_and_what_has_become_of_the_vote() -> None:
    assert "1 to 4" in ballot_html(Ballot(open=True), TEXTS)
    failed = ballot_html(Ballot(open=True, why_not="One side <failed>."), TEXTS)
    assert "One side &lt;failed&gt;." in failed
    assert "change it" in ballot_html(Ballot(open=True, vote=vote("tie")), TEXTS)
    assert "closed" in ballot_html(Ballot(open=False, vote=vote("tie")), TEXTS)
    uncounted = Ballot(open=True, vote=vote("left", counted=False), why_not="One side failed.")
    assert "not counted. One side failed." in ballot_html(uncounted, TEXTS)


def test_a_side_says_how_it_ended() -> None:
    assert note_on(SideAnswer(text="red", finish_reason="stop"), TEXTS) == ""
    failed = SideError(code="worker_lost", message="It went away.", remedy="Begin anew.")
    error = SideAnswer(text="", finish_reason="error", error=failed)
    assert note_on(error, TEXTS) == "It went away. Begin anew."
    masked = SideAnswer(text="I am [name hidden]", finish_reason="length", masked=True)
    assert note_on(masked, TEXTS).endswith("the name is hidden.")
