"""Votes over time and position bias, drawn as SVG; each with a sentence and a table of the same."""

from __future__ import annotations

import html
from collections.abc import Sequence

from app.leaderboard_protocol import DayCount, PositionBias
from app.ui.language import Texts

WIDTH, HEIGHT, FOOT = 640, 170, 22
MOST_DAYS = 60
"""The last days that are drawn; the table has them, too."""


def days_html(days: list[DayCount], texts: Texts) -> str:
    """Votes of each day: counted ones, and above them those that are not counted."""
    shown = days[-MOST_DAYS:]
    if not shown:
        return f'<p class="none">{_say(texts, "board.no_votes")}</p>'
    most = max(day.counted + day.not_counted for day in shown) or 1
    step = WIDTH / max(len(shown), 7)
    bars = "".join(_bar(at * step, step, day, most) for at, day in enumerate(shown))
    total = sum(day.counted + day.not_counted for day in shown)
    words = texts("board.days_label", votes=total, days=len(shown), most=most)
    ends = _axis(shown, most, step)
    drawing = (
        f'<svg class="days" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{html.escape(words)}">{bars}{ends}</svg>'
    )
    rows = [(day.day, str(day.counted), str(day.not_counted)) for day in shown]
    heads = ("board.day", "board.counted", "board.not_counted")
    return drawing + _legend(texts) + table_html(heads, rows, texts)


def position_html(bias: PositionBias, texts: Texts) -> str:
    """How often the left side won, with its interval and the line of no bias."""
    if bias.share is None or bias.low is None or bias.high is None:
        return f'<p class="none">{_say(texts, "board.no_sides")}</p>'
    words = texts(
        "board.position_label",
        share=f"{bias.share:.0%}",
        low=f"{bias.low:.0%}",
        high=f"{bias.high:.0%}",
    )
    left = 100 * bias.share
    interval = f"left:{100 * bias.low:.1f}%;width:{100 * (bias.high - bias.low):.1f}%"
    unsure = bias.low <= 0.5 <= bias.high
    verdict = "board.no_bias" if unsure else "board.bias"
    bar = (
        f'<div class="bias" role="img" aria-label="{html.escape(words)}">'
        f'<span class="left" style="width:{left:.1f}%"></span>'
        f'<span class="half"></span><span class="span" style="{interval}"></span></div>'
        f'<div class="bias-ends" aria-hidden="true"><span>{_say(texts, "board.left")}</span>'
        f"<span>50%</span><span>{_say(texts, 'board.right')}</span></div>"
    )
    rows = [(str(bias.left), str(bias.right), str(bias.neither))]
    heads = ("board.left", "board.right", "board.neither")
    sentence = f"<p><b>{_say(texts, verdict)}</b> {html.escape(words)}</p>"
    return sentence + bar + table_html(heads, rows, texts)


def table_html(heads: tuple[str, ...], rows: Sequence[tuple[str, ...]], texts: Texts) -> str:
    """The numbers of a drawing, folded away."""
    head = "".join(f'<th scope="col">{_say(texts, key)}</th>' for key in heads)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    return (
        f'<details class="numbers"><summary>{_say(texts, "board.as_table")}</summary>'
        f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></details>"
    )


def _bar(x: float, step: float, day: DayCount, most: int) -> str:
    room = HEIGHT - FOOT - 14
    width = max(step * 0.72, 1.0)
    counted = room * day.counted / most
    other = room * day.not_counted / most
    top = HEIGHT - FOOT - counted
    tip = html.escape(f"{day.day}: {day.counted} + {day.not_counted}")
    return (
        f"<g><title>{tip}</title>"
        f'<rect class="counted" x="{x:.1f}" y="{top:.1f}" width="{width:.1f}" '
        f'height="{counted:.1f}" rx="2"/>'
        f'<rect class="other" x="{x:.1f}" y="{top - other:.1f}" width="{width:.1f}" '
        f'height="{other:.1f}" rx="2"/></g>'
    )


def _axis(days: list[DayCount], most: int, step: float) -> str:
    foot = HEIGHT - FOOT
    first, last = html.escape(days[0].day), html.escape(days[-1].day)
    lines = (
        f'<line x1="0" x2="{WIDTH}" y1="{foot}" y2="{foot}"/>'
        f'<text x="0" y="11">{most}</text><text x="0" y="{HEIGHT - 5}">{first}</text>'
    )
    if len(days) > 1:
        end = min(step * len(days), WIDTH)
        anchor = end if end > WIDTH / 2 else WIDTH / 2
        lines += f'<text x="{anchor:.0f}" y="{HEIGHT - 5}" text-anchor="end">{last}</text>'
    return lines


def _legend(texts: Texts) -> str:
    return (
        f'<p class="legend"><span class="counted"></span>{_say(texts, "board.counted")}'
        f'<span class="other"></span>{_say(texts, "board.not_counted")}</p>'
    )


def _say(texts: Texts, key: str) -> str:
    return html.escape(texts(key))
