"""The page of ``training.evaluate report``: HTML that loads nothing, with every text escaped."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from html import escape
from pathlib import Path

from PIL import Image

from llava_core.errors import PictureError
from llava_core.images import decode_image
from training.evals.comparison import Group, Overlap
from training.evals.results import Figure, Result, Sample
from training.report_look import document

THUMBNAIL = 220
DATA_URL = "data:image/png;base64,"
MOST_COLUMNS = 12
TITLES = {
    "scenes": "Drawn scenes",
    "science-qa": "ScienceQA",
    "judge": "Judged answers",
    "pope": "POPE",
    "answers": "Answers word for word",
}
_STYLE = """
:root { --wrong: #a5402c; --warn: #7a4b00; --warn-bg: #fbeecd; }
@media (prefers-color-scheme: dark) {
  :root { --wrong: #f0907c; --warn: #f4d58d; --warn-bg: #3a2d10; }
}
h2 { margin-bottom: 4px; }
h3 { margin-bottom: 8px; }
p { margin-bottom: 10px; }
.warn { background: var(--warn-bg); color: var(--warn); border-radius: 10px; padding: 10px 14px; }
table { font-size: 15px; }
th, td { text-align: right; }
th:first-child, td:first-child { text-align: left; overflow-wrap: anywhere; }
tr.published td { color: var(--soft); }
.bars { display: grid; grid-template-columns: minmax(90px, 220px) 1fr 108px; gap: 8px 14px; }
.bars span { overflow-wrap: anywhere; }
.track { position: relative; height: 18px; align-self: center; background: var(--grid);
  border-radius: 4px; }
.track i { position: absolute; inset: 0 auto 0 0; background: var(--accent); border-radius: 4px; }
.track.published i { background: var(--tint-2); }
.track b { position: absolute; top: 50%; height: 2px; background: var(--ink); margin-top: -1px; }
.bars .value { text-align: right; white-space: nowrap; }
.samples { display: grid; grid-template-columns: repeat(auto-fill, minmax(300px, 1fr)); gap: 14px; }
.samples article { margin: 0; display: grid; gap: 4px; align-content: start; }
.samples img { width: 100%; max-height: 190px; object-fit: contain; border-radius: 8px; }
.right::before { content: "\\2713\\00a0"; color: var(--right); font-weight: 700; }
.wrong::before { content: "\\2717\\00a0"; color: var(--wrong); font-weight: 700; }
@media (max-width: 640px) {
  .bars { grid-template-columns: 1fr auto; }
  .bars .track { grid-column: 1 / -1; grid-row: auto; }
  .bars .value { grid-row: auto; }
}
"""


def page(groups: Sequence[Group], overlaps: Sequence[Overlap], images: Path) -> str:
    """The whole page; pictures of samples are looked for in ``images``."""
    results = [each for group in groups for each in group.results]
    models = sorted({each.model for each in results})
    body = "\n".join(_group(group, groups, images) for group in groups)
    told = f"{len(results)} results of {len(models)} models: {escape(', '.join(models))}"
    head = f'<h1>Evaluation</h1>\n<p class="soft">{told}</p>\n{_overlaps(overlaps)}'
    return document("Evaluation", _STYLE, head + body, pictures=True)


def _overlaps(overlaps: Sequence[Overlap]) -> str:
    lines = [
        f"{each.shared} of {each.tested} test pictures of {escape(each.model)} "
        f"({escape(TITLES[each.kind])}) are among the training pictures: its figures there do not "
        "tell what it makes of unseen pictures."
        for each in overlaps
        if each.shared
    ]
    checked = [each for each in overlaps if each.tested]
    if not lines and checked:
        return '<p class="soft">No test picture is among the training pictures given.</p>'
    return "".join(f'<p class="warn">{line}</p>' for line in lines)


def _group(group: Group, groups: Sequence[Group], images: Path) -> str:
    same_kind = [each for each in groups if each.kind == group.kind]
    number = f" ({same_kind.index(group) + 1})" if len(same_kind) > 1 else ""
    differs = group.differences(same_kind[0])
    warning = (
        f'<p class="warn">Not comparable with {escape(TITLES[group.kind])} (1): '
        f"{escape('; '.join(differs))}.</p>"
        if differs
        else ""
    )
    settings = ", ".join(f"{k}: {v}" for k, v in group.results[0].settings.items())
    samples = "".join(_samples(each, images) for each in group.results if each.samples)
    return (
        f"<section>\n<h2>{escape(TITLES[group.kind])}{number}</h2>\n"
        f'<p class="soft">{escape(settings) or "no settings"}</p>{warning}'
        f"{_bars(group)}{_table(group)}{_counts(group)}{samples}</section>"
    )


def _bars(group: Group) -> str:
    """The headline of each model, with its interval, and of what is published."""
    rows = [(each.model, each.figures[each.headline], "") for each in group.results]
    headline = group.results[0].headline
    rows += [
        (name, Figure(values[headline], 0), "")
        for each in group.results
        for name, values in each.also.items()
        if headline in values
    ]
    rows += [
        (name, Figure(values[headline], 0), " published")
        for name, values in group.results[0].published.items()
        if headline in values
    ]
    top = max(100.0, *(figure.percent for _, figure, _ in rows))
    drawn = "".join(_bar(name, figure, kind, top) for name, figure, kind in rows)
    return f'<div class="card"><h3>{escape(headline)}</h3><div class="bars">{drawn}</div></div>'


def _bar(name: str, figure: Figure, kind: str, top: float) -> str:
    interval = ""
    words = f"{figure.percent:.1f}%"
    if figure.low is not None and figure.high is not None:
        left, width = 100 * figure.low / top, 100 * (figure.high - figure.low) / top
        interval = f'<b style="left:{left:.2f}%;width:{max(width, 0.3):.2f}%"></b>'
        words += f" ±{(figure.high - figure.low) / 2:.1f}"
    label = f"{name} (published)" if kind else name
    return (
        f"<span>{escape(label)}</span>"
        f'<span class="track{kind}"><i style="width:{100 * figure.percent / top:.2f}%"></i>'
        f'{interval}</span><span class="value">{words}</span>'
    )


def _table(group: Group) -> str:
    """Models beside each other, or below each other where they have few figures."""
    names = list(dict.fromkeys(name for each in group.results for name in each.figures))
    rows = [(each.model, dict(each.figures), "") for each in group.results]
    rows += [
        (name, {k: Figure(v, 0) for k, v in values.items()}, "")
        for each in group.results
        for name, values in each.also.items()
    ]
    rows += [
        (name, {k: Figure(v, 0) for k, v in values.items()}, "published")
        for name, values in group.results[0].published.items()
    ]
    if len(names) > MOST_COLUMNS:
        head = "".join(f"<th>{escape(name)}</th>" for name, _, _ in rows)
        body = "".join(
            _cells(name, [figures.get(name) for _, figures, _ in rows]) for name in names
        )
    else:
        head = "".join(f"<th>{escape(name)}</th>" for name in names)
        body = "".join(
            _cells(name, [figures.get(column) for column in names], kind)
            for name, figures, kind in rows
        )
    return (
        f'<div class="card wide"><table><thead><tr><th></th>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _cells(name: str, figures: Sequence[Figure | None], kind: str = "") -> str:
    cells = "".join(f"<td>{f'{each.percent:.1f}' if each else '–'}</td>" for each in figures)
    return f'<tr class="{kind}"><td>{escape(name.replace("_", " "))}</td>{cells}</tr>'


def _counts(group: Group) -> str:
    told = [
        f"{each.model}: " + ", ".join(f"{name} {number:,}" for name, number in each.counts.items())
        for each in group.results
        if any(each.counts.values())
    ]
    return f'<p class="soft">Counted apart. {escape("; ".join(told))}</p>' if told else ""


def _samples(result: Result, images: Path) -> str:
    articles = "".join(_sample(each, images) for each in result.samples)
    return (
        f"<details><summary>{len(result.samples)} answers of {escape(result.model)}</summary>"
        f'<div class="samples">{articles}</div></details>'
    )


def _sample(sample: Sample, images: Path) -> str:
    mark = "" if sample.right is None else ' class="right"' if sample.right else ' class="wrong"'
    expected = f'<p class="soft">Expected: {escape(sample.expected)}</p>' if sample.expected else ""
    return (
        f'<article class="card">{_picture(sample, images)}<b>{escape(sample.question)}</b>'
        f"<p{mark}>{escape(sample.answer) or '(nothing)'}</p>{expected}</article>"
    )


def _picture(sample: Sample, images: Path) -> str:
    if sample.picture.startswith(DATA_URL):
        return f'<img alt="the picture asked about" src="{escape(sample.picture)}">'
    path = images / sample.picture
    if not sample.picture or not path.is_file():
        return ""
    try:
        picture = decode_image(path.read_bytes())
    except (OSError, PictureError):
        return '<p class="soft">(its picture cannot be read)</p>'
    picture.thumbnail((THUMBNAIL, THUMBNAIL), Image.Resampling.LANCZOS)
    data = io.BytesIO()
    picture.save(data, "JPEG", quality=85)
    coded = base64.b64encode(data.getvalue()).decode()
    return f'<img alt="the picture asked about" src="data:image/jpeg;base64,{coded}">'
