"""Who wins against whom, as a table whose colours can be read at a glance."""

from __future__ import annotations

import html

from app.leaderboard_protocol import Wins
from app.ui.language import Texts


def matrix_html(wins: Wins, texts: Texts) -> str:
    """Rows against columns: share of the votes on the pair that the row won, ties as half."""
    if len(wins.names) < 2:
        return ""
    head = "".join(f'<th scope="col">{html.escape(name)}</th>' for name in wins.names)
    rows = "".join(
        f'<tr><th scope="row">{html.escape(name)}</th>{_cells(at, wins, texts)}</tr>'
        for at, name in enumerate(wins.names)
    )
    note = html.escape(texts("board.matrix_note"))
    return (
        f'<div class="scrolling" tabindex="0"><table class="matrix"><caption>{note}</caption>'
        f"<thead><tr><td></td>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _cells(row: int, wins: Wins, texts: Texts) -> str:
    return "".join(
        _cell(share, votes, texts) if column != row else '<td class="self">–</td>'
        for column, (share, votes) in enumerate(zip(wins.shares[row], wins.votes[row], strict=True))
    )


def _cell(share: float | None, votes: int, texts: Texts) -> str:
    if share is None:
        return f'<td class="nothing">{html.escape(texts("board.no_pair"))}</td>'
    # The colour says which side of half and half, and how far.
    kind = "won" if share >= 0.5 else "lost"
    strength = round(abs(share - 0.5) * 2 * 70)
    small = html.escape(texts("board.of_votes", votes=votes))
    return (
        f'<td class="{kind}" style="--strength:{strength}%"><b>{share:.0%}</b>'
        f"<small>{small}</small></td>"
    )
