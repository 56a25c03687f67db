"""The page of ``training.report``: HTML that loads nothing, with every text escaped."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from itertools import groupby
from statistics import median

from training.report_chart import Line, chart, number_words
from training.report_data import Asked, Run, Said
from training.report_look import COLOURS, document

MOST_CURVES = 8
"""So many other figures, such as accuracies, get a curve each."""
MOST_ROWS = 6
"""More rows of answers than that are folded away, the latest aside."""
LOSS, VALIDATION = "loss", "validation_loss"
ORDER = (LOSS, VALIDATION, "tokens_per_second", "waiting_share", "memory_gb", "learning_rate")
NAMES = {
    "tokens_per_second": "tokens per second",
    "waiting_share": "waiting for data",
    "memory_gb": "memory",
}

_STYLE = """
.key li { overflow-wrap: anywhere; }
.key svg { width: 26px; height: 12px; margin-right: 8px; vertical-align: -1px; }
.charts, .asked { display: grid; grid-template-columns: 1fr 1fr; gap: 16px; }
.charts .card, .asked .card { margin: 0; }
.charts .card:last-child:nth-child(odd) { grid-column: 1 / -1; }
.chart figcaption { font-weight: 600; }
.chart figcaption span { font-weight: 400; color: var(--soft); }
.plot { position: relative; height: 340px; margin: 16px 14px 30px 52px; }
.small .plot { height: 150px; }
.plot svg { position: absolute; inset: 0; width: 100%; height: 100%; overflow: visible; }
.plot b { position: absolute; font: 400 13px/1 system-ui, sans-serif; color: var(--soft); }
.plot .y { right: calc(100% + 9px); transform: translateY(-50%); white-space: nowrap; }
.plot .x { top: calc(100% + 10px); transform: translateX(-50%); }
.axis { margin-top: -6px; text-align: center; font-size: 13px; color: var(--soft); }
svg path { fill: none; vector-effect: non-scaling-stroke; }
.grid { stroke: var(--grid); stroke-width: 1; }
.curve { stroke: var(--of); stroke-width: 2; stroke-linejoin: round; }
.dashed { stroke-dasharray: 5 4; stroke-width: 1.6; }
.dots { stroke: var(--of); stroke-width: 7; stroke-linecap: round; }
.hit rect { fill: transparent; }
.guide { stroke: var(--soft); stroke-width: 1; }
.mark { stroke: var(--of); stroke-width: 10; stroke-linecap: round; }
.guide, .mark { opacity: 0; pointer-events: none; }
.hit:hover .guide, .hit:hover .mark { opacity: 1; }

th, td { vertical-align: top; overflow-wrap: anywhere; }
table.answers tr:first-child > * { border-top: 0; }
tbody th { color: var(--soft); }
.compared { table-layout: fixed; }
.recipe { columns: 2; column-gap: 40px; }
.recipe div {
  display: flex; justify-content: space-between; gap: 16px; padding: 6px 0;
  border-bottom: 1px solid var(--grid); break-inside: avoid;
}
.recipe dt { color: var(--soft); }
.recipe dd { margin: 0; text-align: right; overflow-wrap: anywhere; }

.asked { margin-top: 12px; }
.strip { display: flex; gap: 2px; height: 14px; margin: 10px 0 12px; }
.strip i { flex: 1 1 0; max-width: 22px; border-radius: 3px; background: var(--muted); }
.strip i.right { background: var(--right); }
.answers th { width: 9.5em; white-space: nowrap; }
.answers td:last-child { padding-right: 0; }
.answers .right td { color: var(--right); }
.answers .right td::after { content: " \\2713"; font-weight: 700; }
@media (max-width: 640px) {
  .charts, .asked { grid-template-columns: minmax(0, 1fr); }
  .plot { height: 260px; margin-left: 46px; }
  .recipe { columns: 1; }
  .answers th { width: 8em; }
}
"""


def page(runs: Sequence[Run]) -> str:
    """The whole page: figures, curves, answers and recipe of one run, or of several."""
    title = " and ".join(run.name for run in runs) if len(runs) < 3 else f"{len(runs)} runs"
    alone = len(runs) == 1
    parts = (
        _cards(runs[0]) if alone else _figures_table(runs),
        _loss(runs),
        _curves(runs),
        *(_answers(run, alone) for run in runs),
        _recipe(runs),
    )
    standing = "; ".join(_standing(run, alone) for run in runs)
    head = f'<h1>{escape(title)}</h1>\n<p class="soft">{escape(standing)}</p>'
    body = "\n".join(part for part in (head, *parts) if part)
    return document(f"{title}: training", _STYLE, body)


def _standing(run: Run, alone: bool) -> str:
    name = "" if alone else f"{run.name}: "
    state = "finished" if run.finished else "not finished"
    return f"{name}{state}, {run.steps:,} steps, {run.minutes:.1f} minutes of training"


# --- figures --------------------------------------------------------------------------------------


def _names(runs: Sequence[Run]) -> list[str]:
    """Figures of any run: the known ones in their order, then the others in that of the file."""
    found = dict.fromkeys(name for run in runs for name in run.figures)
    return [name for name in ORDER if name in found] + [n for n in found if n not in ORDER]


def _called(name: str) -> str:
    return NAMES.get(name, name.replace("_", " "))


def _words(name: str, value: float) -> str:
    """A value with its unit."""
    if name == "waiting_share":
        return f"{value:.1%}"
    return f"{number_words(value)} GB" if name == "memory_gb" else number_words(value)


def _told(name: str, run: Run) -> tuple[str, str]:
    """The last value, and what puts it into proportion."""
    points = run.figures[name]
    values = [point.value for point in points]
    last = _words(name, values[-1])
    if name == LOSS:
        return last, f"at first {_words(name, values[0])}"
    if name == VALIDATION:
        best = min(points, key=lambda point: point.value)
        return last, f"lowest {_words(name, best.value)} at step {best.step:,}"
    if name == "tokens_per_second":
        return last, f"median {_words(name, median(values))}"
    if name in ("waiting_share", "memory_gb"):
        return last, f"at most {_words(name, max(values))}"
    return last, ""


def _cards(run: Run) -> str:
    shown = [name for name in _names([run]) if name in ORDER and name != "learning_rate"]
    cards = ""
    for name in shown:
        last, more = _told(name, run)
        said = f"<b>{escape(last)}</b>{escape(more)}"
        cards += f"<div><dt>{escape(_called(name))}</dt><dd>{said}</dd></div>"
    return f'<dl class="figures">{cards}</dl>' if cards else ""


def _figures_table(runs: Sequence[Run]) -> str:
    rows = ""
    for name in _names(runs):
        if name != "learning_rate":
            values = (
                _words(name, r.figures[name][-1].value) if name in r.figures else "-" for r in runs
            )
            cells = "".join(f"<td>{escape(value)}</td>" for value in values)
            rows += f"<tr><th>{escape(_called(name))}</th>{cells}</tr>"
    return f"<h2>Last figures</h2>{_compared('figure', runs, rows)}"


def _compared(first: str, runs: Sequence[Run], rows: str) -> str:
    """A table with a column for each run."""
    head = "".join(f"<th>{escape(run.name)}</th>" for run in runs)
    return (
        f'<div class="card wide"><table class="compared" style="min-width:{7 * len(runs) + 7}em">'
        f"<thead><tr><th>{first}</th>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


# --- curves ---------------------------------------------------------------------------------------


def _loss(runs: Sequence[Run]) -> str:
    lines = [line for number, run in enumerate(runs) for line in _loss_lines(run, number, runs)]
    drawn = chart("loss per answer token", lines)
    return f'<section class="card">{_key(lines)}{drawn}</section>' if drawn else ""


def _loss_lines(run: Run, number: int, runs: Sequence[Run]) -> list[Line]:
    """One run has a colour for each loss; of several, each run has one."""
    alone = len(runs) == 1
    before = "" if alone else f"{run.name}: "
    colours = (0, 1) if alone else (number % COLOURS, number % COLOURS)
    named = zip((LOSS, VALIDATION), ("loss", "validation loss"), colours, strict=True)
    return [
        Line(before + words, run.figures[name], colour, dashed=name == VALIDATION)
        for name, words, colour in named
        if name in run.figures
    ]


def _key(lines: Sequence[Line]) -> str:
    items = ""
    for line in lines:
        kinds = f"curve c{line.colour}" + (" dashed" if line.dashed else "")
        dot = f'<path class="dots c{line.colour}" d="M13 6h0"/>' if line.dashed else ""
        drawn = f'<svg viewBox="0 0 26 12"><path class="{kinds}" d="M1 6H25"/>{dot}</svg>'
        items += f"<li>{drawn}{escape(line.name)}</li>"
    return f'<ul class="key">{items}</ul>'


def _curves(runs: Sequence[Run]) -> str:
    others = [name for name in _names(runs) if name not in ORDER][:MOST_CURVES]
    charts = ""
    for name in ("learning_rate", "tokens_per_second", *others):
        lines = [
            Line(run.name if len(runs) > 1 else _called(name), run.figures[name], number % COLOURS)
            for number, run in enumerate(runs)
            if name in run.figures
        ]
        drawn = chart(_called(name), lines, small=True)
        charts += f'<section class="card">{drawn}</section>' if drawn else ""
    return f'<div class="charts">{charts}</div>' if charts else ""


# --- answers --------------------------------------------------------------------------------------


def _answers(run: Run, alone: bool) -> str:
    if not run.asked:
        return ""
    named = "Answers" if alone else f"Answers of {run.name}"
    right = sum(asked.answers[-1].right for asked in run.asked)
    told = f"At the last step {right} of {len(run.asked)} are word for word as in the data"
    articles = "".join(map(_article, run.asked))
    return f'<h2>{escape(named)}</h2><p class="soft">{told}.</p><div class="asked">{articles}</div>'


def _article(asked: Asked) -> str:
    squares = "".join(
        f'<i{_kind(said)} title="step {said.step:,}: {escape(said.text)}"></i>'
        for said in asked.answers
    )
    rows = [list(same) for _, same in groupby(asked.answers, key=lambda said: said.text)]
    hidden = rows[:-MOST_ROWS] if len(rows) > MOST_ROWS + 1 else []
    more = f"<details><summary>{len(hidden)} earlier</summary>{_rows(hidden)}</details>"
    return (
        f'<article class="card"><h3>{escape(asked.question)}</h3>'
        f'<p class="soft">In the data: {escape(asked.reference)} ({escape(asked.record)})</p>'
        f'<div class="strip">{squares}</div>'
        f"{more if hidden else ''}{_rows(rows[len(hidden) :])}</article>"
    )


def _kind(said: Said) -> str:
    return ' class="right"' if said.right else ""


def _rows(rows: Sequence[Sequence[Said]]) -> str:
    """Answers that stay the same over several steps are one row."""
    cells = "".join(
        f"<tr{_kind(same[0])}><th>{_steps(same)}</th><td>{escape(same[0].text)}</td></tr>"
        for same in rows
    )
    return f'<table class="answers"><tbody>{cells}</tbody></table>'


def _steps(same: Sequence[Said]) -> str:
    first, last = same[0].step, same[-1].step
    return f"step {first:,}" if first == last else f"steps {first:,} to {last:,}"


# --- recipe ---------------------------------------------------------------------------------------


def _recipe(runs: Sequence[Run]) -> str:
    """All settings of one run; of several those that differ, the others folded away."""
    keys = list(dict.fromkeys(key for run in runs for key in run.recipe))
    if not keys:
        return ""
    if len(runs) == 1:
        return f"<h2>Recipe</h2>{_settings(runs[0], keys)}"
    same = [key for key in keys if len({run.recipe.get(key) for run in runs}) == 1]
    rows = ""
    for key in keys:
        if key not in same:
            cells = "".join(f"<td>{escape(run.recipe.get(key, '-'))}</td>" for run in runs)
            rows += f"<tr><th>{escape(key)}</th>{cells}</tr>"
    differing = _compared("setting", runs, rows) if rows else ""
    words = f"the same in all: {len(same)}"
    folded = f"<details><summary>{words}</summary>{_settings(runs[0], same)}</details>"
    return f"<h2>Recipe</h2>{differing}{folded if same else ''}"


def _settings(run: Run, keys: Sequence[str]) -> str:
    items = "".join(
        f"<div><dt>{escape(key)}</dt><dd>{escape(run.recipe[key])}</dd></div>" for key in keys
    )
    return f'<dl class="card recipe">{items}</dl>'
