"""What says how far votes can be trusted: agreement, rows not counted, marked voters."""

from __future__ import annotations

import html

from app.leaderboard_protocol import Agreement, Leaderboard
from app.ui.language import Texts
from app.ui.leaderboard.plots import table_html

WHY_NOT = {
    "side_failed": "board.side_failed",
    "side_stopped": "board.side_stopped",
    "voter_cap": "board.voter_cap",
    "one_side": "board.one_side",
    "contrary": "board.contrary",
    "names_model": "board.names_model",
    "same_model": "board.same_model",
}
"""Reasons why a vote is not counted -> their words; others are shown as they are called."""


def agreement_html(agreement: Agreement, judge: Agreement | None, texts: Texts) -> str:
    """How often votes on the same question agree; judges beside people where there are any."""
    shown = _agreement(agreement, "board.voters_agree", "board.no_agreement", texts)
    if judge is not None:
        shown += _agreement(judge, "board.judges_agree", "board.no_judged", texts)
    return shown


def not_counted_html(board: Leaderboard, texts: Texts) -> str:
    """How many rows are kept without being counted, and why; nothing is dropped in silence."""
    votes = board.votes
    words = texts(
        "board.share",
        share=f"{votes.share_not_counted:.1%}",
        votes=sum(votes.not_counted.values()),
        all=votes.all,
    )
    rows = [(_why(reason, texts), str(number)) for reason, number in votes.not_counted.items()]
    shown = f"<p>{html.escape(words)}</p>"
    if rows:
        lines = "".join(
            f"<tr><th scope='row'>{html.escape(why)}</th><td>{number}</td></tr>"
            for why, number in rows
        )
        shown += f'<table class="reasons"><tbody>{lines}</tbody></table>'
    return shown + _marked(board, texts)


def _agreement(agreement: Agreement, key: str, without: str, texts: Texts) -> str:
    if agreement.share is None:
        return f'<p class="none">{html.escape(texts(without))}</p>'
    alpha = "–" if agreement.alpha is None else f"{agreement.alpha:.2f}"
    words = texts(
        key,
        share=f"{agreement.share:.0%}",
        pairs=agreement.pairs,
        questions=agreement.questions,
        alpha=alpha,
    )
    bar = f'<span style="width:{agreement.share:.1%}"></span>'
    return f'<p>{html.escape(words)}</p><div class="share" aria-hidden="true">{bar}</div>'


def _marked(board: Leaderboard, texts: Texts) -> str:
    if not board.marked:
        return ""
    heads = (
        *("board.voter", "board.mark", "board.votes"),
        *("board.left", "board.right", "board.chance"),
    )
    rows = [
        (
            voter.voter,
            _why(voter.mark, texts),
            str(voter.votes),
            str(voter.left),
            str(voter.right),
            f"{voter.p:.1e}",
        )
        for voter in board.marked
    ]
    words = html.escape(texts("board.marked", voters=len(rows)))
    return f"<p>{words}</p>{table_html(heads, rows, texts)}"


def _why(reason: str, texts: Texts) -> str:
    return texts(WHY_NOT[reason]) if reason in WHY_NOT else reason
