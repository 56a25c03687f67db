"""The table of competitors, each with its rating and how sure that is."""

from __future__ import annotations

import html

from app.leaderboard_protocol import Leaderboard, Standing
from app.ui.language import Texts

MARGIN = 0.06
"""Free room at both ends of the ratings' scale, as a share of it."""


def standings_html(board: Leaderboard, texts: Texts) -> str:
    """Rank, name, rating with its interval as a bar, votes; names are text, whatever they hold."""
    if not board.standings:
        return f'<p class="none">{_say(texts, "board.no_votes")}</p>'
    low, high = scale_of(board.standings)
    columns = ("board.rank", "board.name", "board.rating", "board.record", "board.votes")
    head = "".join(f'<th scope="col">{_say(texts, key)}</th>' for key in columns)
    rows = "".join(_row(standing, low, high, board, texts) for standing in board.standings)
    return (
        f'<table class="standings"><caption>{_say(texts, "board.rating_note")}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
    )


def scale_of(standings: list[Standing]) -> tuple[float, float]:
    """The ratings at the left and the right end of the bars."""
    low = min(standing.low for standing in standings)
    high = max(standing.high for standing in standings)
    room = (high - low) * MARGIN or 1.0
    return low - room, high + room


def _row(standing: Standing, low: float, high: float, board: Leaderboard, texts: Texts) -> str:
    rank = str(standing.rank) if standing.enough and standing.rank is not None else "–"
    few = ""
    if not standing.enough:
        words = texts("board.few", votes=standing.votes, enough=board.enough_votes)
        few = f'<span class="few">{html.escape(words)}</span>'
    record = f"{standing.wins}–{standing.ties + standing.both_bad}–{standing.losses}"
    cells = (
        f'<td class="rank">{rank}</td>',
        f'<th scope="row"><span class="name">{html.escape(standing.name)}</span>{few}</th>',
        f'<td class="rating">{_interval(standing, low, high, texts)}</td>',
        f'<td class="record">{record}</td>',
        f'<td class="votes">{standing.votes}</td>',
    )
    kind = "" if standing.enough else ' class="unsure"'
    return f"<tr{kind}>{''.join(cells)}</tr>"


def _interval(standing: Standing, low: float, high: float, texts: Texts) -> str:
    def place(value: float) -> float:
        return 100 * (value - low) / (high - low)

    start, end, dot = place(standing.low), place(standing.high), place(standing.rating)
    between = texts("board.interval", low=round(standing.low), high=round(standing.high))
    return (
        f'<span class="number">{standing.rating:.0f}</span>'
        f'<span class="between">{html.escape(between)}</span>'
        '<span class="track" aria-hidden="true">'
        f'<span class="span" style="left:{start:.1f}%;width:{end - start:.1f}%"></span>'
        f'<span class="dot" style="left:{dot:.1f}%"></span></span>'
    )


def _say(texts: Texts, key: str) -> str:
    return html.escape(texts(key))
