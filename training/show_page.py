"""The page of ``training.show``: HTML that loads nothing, with every text escaped."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from itertools import groupby
from typing import TYPE_CHECKING

from training.report_look import document

if TYPE_CHECKING:
    from training.show import Piece, Shown

_STYLE = """
:root { --visual: #dfeaf0; --visual-ink: #23495c; --visual-bar: #5b93ad; }
@media (prefers-color-scheme: dark) {
  :root { --visual: #1e3440; --visual-ink: #c4dfec; --visual-bar: #6ba5c0; }
}
h2 { margin: 0; font: 600 16px/1.5 system-ui, sans-serif; }
.bar { display: flex; gap: 2px; height: 8px; border-radius: 4px; overflow: hidden; }
.bar i { flex-basis: 0; min-width: 2px; }
.bar .v, .key .v { background: var(--visual-bar); }
.bar .p, .key .p { background: var(--muted); }
.bar .l, .key .l { background: var(--accent); }
.legend {
  position: sticky; top: 0; z-index: 1; margin: 0 -8px 8px; padding: 16px 8px 12px;
  background: var(--page);
}
.key i { display: inline-block; width: 11px; height: 11px; margin-right: 7px; border-radius: 3px; }
article { display: grid; grid-template-columns: 220px minmax(0, 1fr); gap: 16px 24px; }
header { grid-column: 1 / -1; display: grid; gap: 8px; }
header div:first-child { display: flex; flex-wrap: wrap; gap: 0 16px; align-items: baseline; }
header .bar { height: 4px; }
figure { display: grid; gap: 10px; align-content: start; }
img { display: block; width: 100%; border-radius: 8px; border: 1px solid var(--line); }
figure p {
  padding: 24px 0; text-align: center; border: 1px dashed var(--line); border-radius: 8px;
}
.text {
  white-space: pre-wrap; overflow-wrap: anywhere; font-size: 17px; line-height: 1.9;
}
.text span { display: block; color: var(--soft); }
.learnt + .prompt { margin-top: 8px; }
.text .learnt { color: var(--tint-ink); }
.text i {
  position: relative; font-style: normal; padding: 3px 0; border-radius: 3px;
}
.text i:nth-child(even) { background: var(--quiet); }
.learnt i { background: var(--tint); }
.text .learnt i:nth-child(even) { background: var(--tint-2); }
.text i.special { font: 600 13px/1 ui-monospace, monospace; }
.text i.nl::before { content: "\\21b5"; opacity: .55; }
.text i.part::before { content: "\\2026"; opacity: .55; }
.text i.chip {
  padding: 4px 11px; border-radius: 99px; background: var(--visual); color: var(--visual-ink);
  font-size: 14px; font-weight: 600; white-space: nowrap;
}
.text i:hover { outline: 2px solid var(--accent); z-index: 2; }
.text i:hover::after {
  content: "id " attr(data-id); position: absolute; left: 0; bottom: calc(100% + 5px);
  padding: 2px 9px; border-radius: 6px; background: var(--ink); color: var(--page);
  font: 500 13px/1.6 system-ui, sans-serif; white-space: nowrap;
}
.trouble { grid-column: 1 / -1; }
@media (max-width: 640px) {
  article { grid-template-columns: minmax(0, 1fr); }
  img { width: auto; max-width: 100%; min-width: 160px; max-height: 300px; }
  figure p { padding: 8px 0; }
}
"""
_NAMES = (("v", "visual"), ("p", "prompt"), ("l", "learnt"))


def page(name: str, total: int, model: str, shown: Sequence[Shown]) -> str:
    """The whole page: a legend with the counts of all samples, then each sample."""
    counts = [sum(column) for column in zip(*(one.count() for one in shown), strict=True)]
    samples = "\n".join(_sample(one) for one in shown)
    body = (
        f"<h1>{escape(name)}</h1>\n"
        f'<p class="soft">{len(shown)} of {total:,} records, as {escape(model)} reads them. '
        "Each tint is one token; point at one for its id.</p>\n"
        f"{_legend(counts)}\n<main>\n{samples}\n</main>"
    )
    return document(f"{name}: what is learnt", _STYLE, body, pictures=True)


def _legend(counts: Sequence[int]) -> str:
    words = ("visual tokens", "prompt, read only", "learnt: answers and their end")
    keys = "".join(
        f'<li><i class="{short}"></i>{text} <b>{number:,}</b></li>'
        for (short, _), text, number in zip(_NAMES, words, counts, strict=True)
    )
    return f'<div class="legend"><ul class="key">{keys}</ul>{_bar(counts)}</div>'


def _bar(counts: Sequence[int]) -> str:
    parts = "".join(
        f'<i class="{short}" style="flex-grow:{number}"></i>'
        for (short, _), number in zip(_NAMES, counts, strict=True)
        if number
    )
    return f'<div class="bar">{parts}</div>'


def _sample(one: Shown) -> str:
    counts = one.count()
    named = f"record {one.record}" + (f" · {one.id}" if one.id else "")
    if one.trouble:
        told = f'<p class="trouble">It cannot be shown: {escape(one.trouble)}</p>'
        return f'<article class="card"><header><h2>{escape(named)}</h2></header>{told}</article>'
    words = f"{sum(counts):,} tokens, {counts[2]:,} learnt"
    pictures = "".join(
        f'<img src="{escape(url)}" alt="picture {number}">'
        for number, url in enumerate(one.pictures, 1)
    )
    pictures = pictures or '<p class="soft">no picture</p>'
    return (
        f'<article class="card"><header><div><h2>{escape(named)}</h2>'
        f'<p class="soft">{words}</p></div>'
        f"{_bar(counts)}</header>"
        f"<figure>{pictures}</figure>"
        f'<div class="text">{_text(one.pieces)}</div></article>'
    )


def _text(pieces: Sequence[Piece]) -> str:
    runs = groupby(pieces, key=lambda piece: piece.learnt)
    return "".join(
        f'<span class="{"learnt" if learnt else "prompt"}">{"".join(map(_piece, run))}</span>'
        for learnt, run in runs
    )


def _piece(piece: Piece) -> str:
    kinds = [
        name
        for name, holds in (
            ("chip", piece.visual),
            ("special", piece.special and not piece.visual),
            ("nl", "\n" in piece.text),
            ("part", not piece.text),
        )
        if holds
    ]
    named = f' class="{" ".join(kinds)}"' if kinds else ""
    text = f"{piece.visual} visual tokens" if piece.visual else piece.text
    return f'<i data-id="{piece.id}"{named}>{escape(text)}</i>'
