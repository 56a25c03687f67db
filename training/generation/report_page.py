"""The page of ``training.generate_data``: HTML that loads nothing, with every text escaped."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape

from training.generation.checks import REASONS
from training.generation.gathering import Counts, Sample, Tally
from training.generation.prompts import Kind
from training.generation.source import Subject
from training.report_look import COLOURS, document

_STYLE = """
.partial {
  margin-top: 16px; padding: 12px 16px; border-left: 4px solid var(--accent);
  background: var(--card);
}
td.n, th.n { padding-right: 22px; text-align: right; white-space: nowrap; }
.meter { width: 32%; }
.meter i { display: block; height: 10px; border-radius: 5px; background: var(--grid); }
.meter i b {
  display: block; height: 100%; min-width: 3px; border-radius: 5px; background: var(--accent);
}
.reject td:last-child { color: var(--soft); }
.reject tr:first-child td { border-top: 0; }
article { display: grid; grid-template-columns: 260px minmax(0, 1fr); gap: 10px 24px; }
article > header { grid-column: 1 / -1; }
.picture { position: relative; border: 1px solid var(--line); border-radius: 8px; }
.picture img { display: block; width: 100%; border-radius: 7px; }
.picture.none { aspect-ratio: 1; background: var(--grid); }
.picture i { position: absolute; border: 2px solid var(--of); border-radius: 3px; }
.picture i::after {
  content: attr(data-name); position: absolute; left: -2px; bottom: 100%; padding: 0 5px;
  background: var(--of); color: var(--page); font: 600 11px/16px system-ui, sans-serif;
  border-radius: 3px 3px 0 0; white-space: nowrap;
}
figcaption ul { margin: 10px 0 0; padding: 0 0 0 18px; color: var(--soft); font-size: 14px; }
.turns p { padding: 8px 14px; border-radius: 12px; overflow-wrap: anywhere; white-space: pre-line; }
.turns .asked { width: fit-content; max-width: 92%; background: var(--quiet); }
.turns .said {
  width: fit-content; max-width: 92%; margin: 6px 0 14px auto; background: var(--tint);
  color: var(--tint-ink);
}
.why { margin-bottom: 8px; font-weight: 600; color: var(--accent); }
summary { margin-bottom: 10px; }
pre {
  margin: 0; padding: 12px 14px; border-radius: 8px; background: var(--quiet); color: var(--ink);
  font: 14px/1.5 ui-monospace, monospace; white-space: pre-wrap; overflow-wrap: anywhere;
}
@media (max-width: 640px) {
  article { grid-template-columns: minmax(0, 1fr); }
  .meter, .hide { display: none; }
  figure { max-width: 300px; }
}
"""


@dataclass(frozen=True)
class Head:
    """What stands above everything; ``partial`` is why the set is not complete."""

    name: str
    model: str
    cost: str
    partial: str


def page(head: Head, tally: Tally, pictures: Mapping[str, str]) -> str:
    """The whole page; ``pictures`` are ``data:`` URLs by file name, empty where there is none."""
    words = f"written by {head.model}" + (f": {head.cost}" if head.cost else "")
    partial = f'<p class="partial">Not complete. {escape(head.partial)}</p>' if head.partial else ""
    parts = [_figures(tally), _kinds(tally), _rejects(tally)]
    for kind in tally.kinds:
        passed, rejected = (_samples(tally, kind, right, pictures) for right in (True, False))
        parts.append(f"<h2>{kind.capitalize()}</h2>\n{passed}")
        if rejected:
            parts.append(f"<details><summary>Some that were rejected</summary>{rejected}</details>")
    above = f'<h1>{escape(head.name)}</h1>\n<p class="soft">{escape(words)}</p>'
    body = "\n".join(part for part in (above, partial, *parts) if part)
    return document(f"{head.name}: what was generated", _STYLE, body, pictures=True)


def _samples(tally: Tally, kind: Kind, right: bool, pictures: Mapping[str, str]) -> str:
    return "\n".join(_sample(one, pictures) for one in tally.samples.get((kind, right), ()))


def _figures(tally: Tally) -> str:
    total = tally.total()
    answered = total.kept + total.rejected
    share = f"{total.kept / answered:.1%} of the replies" if answered else ""
    figures = (
        ("records", f"{total.kept:,}", share),
        ("turns", f"{total.turns:,}", f"{_each(total.turns, total.kept)} a record"),
        ("words of answers", f"{total.words:,}", f"{_each(total.words, total.turns)} an answer"),
        ("pictures", f"{len(tally.pictures):,}", ""),
    )
    cells = "".join(
        f"<div><dt>{name}</dt><dd><b>{value}</b>{note}</dd></div>" for name, value, note in figures
    )
    return f'<dl class="figures">{cells}</dl>'


def _each(number: int, among: int) -> str:
    return f"{number / among:.1f}" if among else "0"


def _kinds(tally: Tally) -> str:
    names = (
        "kind",
        "asked about",
        "records",
        "rejected",
        "without reply",
        "turns",
        "words an answer",
    )
    head = "".join(f"<th{'' if not at else _n(at)}>{name}</th>" for at, name in enumerate(names))
    rows = "".join(
        f"<tr><td>{kind}</td>{''.join(_cells(counts))}</tr>" for kind, counts in tally.kinds.items()
    )
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
    return f'<div class="card wide">{table}</div>'


def _n(column: int) -> str:
    """Numbers stand right; the last ones are left out on small screens."""
    return ' class="n hide"' if column in (1, 4, 6) else ' class="n"'


def _cells(counts: Counts) -> list[str]:
    numbers = [counts.tasks, counts.kept, counts.rejected, counts.open, counts.turns]
    values = [f"{number:,}" for number in numbers] + [_each(counts.words, counts.turns)]
    return [f"<td{_n(at)}>{value}</td>" for at, value in enumerate(values, 1)]


def _rejects(tally: Tally) -> str:
    if not tally.reasons:
        return ""
    most = max(tally.reasons.values())
    rows = "".join(
        f'<tr><td>{reason}</td><td class="n">{number:,}</td>'
        f'<td class="meter"><i><b style="width:{number / most:.1%}"></b></i></td>'
        f"<td>{REASONS[reason]}</td></tr>"
        for reason, number in tally.reasons.most_common()
    )
    table = f'<table class="reject"><tbody>{rows}</tbody></table>'
    return f'<h2>Rejected, by reason</h2>\n<div class="card wide">{table}</div>'


def _sample(sample: Sample, pictures: Mapping[str, str]) -> str:
    subject = sample.task.subject
    if sample.reject is not None:
        why = f"{sample.reject.reason}: {sample.reject.detail}"
        text = f'<p class="why">{escape(why)}</p><pre>{escape(sample.reject.reply)}</pre>'
    else:
        text = "".join(
            f'<p class="asked">{escape(pair.question)}</p><p class="said">{escape(pair.answer)}</p>'
            for pair in sample.pairs
        )
    return (
        f'<article class="card"><header><h3>{escape(sample.task.id)}</h3></header>'
        f"{_figure(subject, pictures.get(subject.image, ''))}"
        f'<div class="turns">{text}</div></article>'
    )


def _figure(subject: Subject, url: str) -> str:
    """The picture with its boxes, or the boxes alone, and below it the captions."""
    boxes = "".join(
        f'<i class="c{number % COLOURS}" data-name="{escape(one.category)}" style="'
        f"left:{one.box[0]:.1%};top:{one.box[1]:.1%};"
        f'width:{one.box[2] - one.box[0]:.1%};height:{one.box[3] - one.box[1]:.1%}"></i>'
        for number, one in enumerate(subject.instances)
    )
    image = f'<img src="{escape(url)}" alt="{escape(subject.image)}">' if url else ""
    captions = "".join(f"<li>{escape(text)}</li>" for text in subject.captions)
    return (
        f'<figure><div class="picture{"" if url else " none"}">{image}{boxes}</div>'
        f"<figcaption><ul>{captions}</ul></figcaption></figure>"
    )
