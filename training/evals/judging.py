"""What a judge is asked about two answers, in the paper's composition, and what a run records.

Context (captions and boxes, the judge sees no picture), question, the reference as Assistant 1, the
candidate as Assistant 2, then the rule of the question's category: section 5.1 and appendix of
https://arxiv.org/abs/2304.08485. With swapped order the two change places; stored scores are always
(reference, candidate).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llava_core.training.records import DataError
from training.evals.reviews import scores_in
from training.evals.rows import Row, loads, read_rows, same_ids

RULES = Path(__file__).parent / "prompts" / "judge_rules.json"
Named = dict[str, Row]


@dataclass(frozen=True)
class Rules:
    """The judge's system message, and for each category its role names and its rule."""

    system: str
    categories: Mapping[str, tuple[str, str]]

    def of(self, category: str) -> tuple[str, str]:
        """(role, rule) of a category, or of "default"."""
        names = (category, category.removeprefix("llava_bench_"), "default")
        found = next((self.categories[name] for name in names if name in self.categories), None)
        if found is None:
            raise DataError(
                f"there is no rule for category {category!r}",
                f"The rules have {', '.join(self.categories)}; add it, or one named default.",
            )
        return found


@dataclass(frozen=True)
class Trial:
    """One review to be written: a question, both answers, and in which order they are shown."""

    question: Row
    context: str
    reference: Row
    candidate: Row
    swapped: bool
    repeat: int

    @property
    def key(self) -> str:
        """By what it is known again when a run goes on: the question, both answers, the order."""
        order = "swapped" if self.swapped else "straight"
        answers = f"{self.reference.get('answer_id', '')}:{self.candidate.get('answer_id', '')}"
        return f"{self.question['question_id']}:{answers}:{order}:{self.repeat}"


def read_rules(path: Path = RULES) -> Rules:
    """Rules as ``{category: {"role", "prompt"}}``, with an optional ``"system"`` text.

    The published rule file has this form. Raises :class:`DataError`.
    """
    try:
        source = loads(path.read_text("utf-8"), path)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}", "Name a rule file.") from error
    if not isinstance(source, dict):
        raise DataError(f"{path} holds no rules", 'Rules are {category: {"role", "prompt"}}.')
    system = str(source.pop("system", loads(RULES.read_text("utf-8"), RULES)["system"]))
    categories = {}
    for name, rule in source.items():
        if not isinstance(rule, dict) or not {"role", "prompt"} <= rule.keys():
            raise DataError(
                f"the rule {name!r} of {path} lacks role or prompt",
                'A rule is {"role": "Assistant", "prompt": "..."}.',
            )
        categories[name] = (str(rule["role"]), str(rule["prompt"]))
    return Rules(system, categories)


def read_contexts(path: Path) -> dict[str, str]:
    """By picture, what the judge is told of it: captions and boxes, or the one caption.

    Rows are ``{"image", "captions", "instances"}`` (COCO) or ``{"image", "caption"}`` (In the
    Wild). Raises :class:`DataError`.
    """
    found = {}
    for number, row in enumerate(read_rows(path, ("image",), "context", "image")):
        found[str(row["image"])] = context_text(row, path, number)
    return found


def context_text(row: Row, path: Path, number: int) -> str:
    """Captions, then a line for each box, as the paper shows them (table 14)."""
    captions = row.get("captions", row.get("caption"))
    lines = [captions] if isinstance(captions, str) else list(captions or ())
    lines = [line.strip() for line in lines if str(line).strip()]
    boxes = [_box(box, path, number) for box in row.get("instances") or ()]
    if not lines and not boxes:
        raise DataError(f"{path} tells nothing about {row['image']}", "Add captions.", number)
    return "\n".join(lines) + ("\n\n" + "\n".join(boxes) if boxes else "")


def _box(box: Any, path: Path, number: int) -> str:
    try:
        corners = [float(side) for side in box["bbox"]]
        name = str(box["category"])
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{path} has a box that is {str(box)[:60]}",
            'A box is {"category", "bbox": [x1, y1, x2, y2]}.',
            number,
        ) from error
    if len(corners) != 4 or not all(0 <= side <= 1 for side in corners):
        raise DataError(
            f"{path} has a box outside of its picture: {corners}",
            "Corners are shares of width and height, 0 to 1.",
            number,
        )
    return f"{name}: [{', '.join(f'{side:.3f}' for side in corners)}]"


def read_named(path: Path, wanted: Sequence[str], what: str) -> Named:
    """Answers by question; all ``wanted`` must be there. Raises :class:`DataError`."""
    rows = read_rows(path, ("question_id", "text"), what, "question_id", unfinished=True)
    found = {str(row["question_id"]): row for row in rows}
    same_ids(wanted, found, "question_id", path)
    missing = [(number, name) for number, name in enumerate(wanted) if name not in found]
    if missing:
        number, name = missing[0]
        raise DataError(
            f"{path} has no {what} to question {name!r} ({len(missing)} are missing)",
            "Answer all questions first: python -m training.evaluate answers goes on.",
            number,
        )
    return found


def trials(
    questions: Sequence[Row],
    contexts: Mapping[str, str],
    reference: Named,
    candidate: Named,
    swap: bool,
    repeats: int,
) -> list[Trial]:
    """Every review to be written, in order. Raises :class:`DataError` without a context."""
    found = []
    for number, question in enumerate(questions):
        name = str(question["question_id"])
        context = contexts.get(str(question.get("image", "")))
        if context is None:
            raise DataError(
                f"there is no context for picture {question.get('image')!r}",
                "Add its captions to the context file.",
                number,
            )
        for repeat in range(repeats):
            for swapped in (False, True) if swap else (False,):
                found.append(
                    Trial(question, context, reference[name], candidate[name], swapped, repeat)
                )
    return found


def prompt(trial: Trial, rules: Rules) -> str:
    """The judge's user message: context, question, both answers, rule."""
    role, rule = rules.of(str(trial.question.get("category", "default")))
    shown = [trial.reference, trial.candidate]
    if trial.swapped:
        shown.reverse()
    answers = "\n\n".join(
        f"[{role} {place}]\n{answer['text']}\n\n[End of {role} {place}]"
        for place, answer in enumerate(shown, 1)
    )
    return (
        f"[Context]\n{trial.context}\n\n[Question]\n{trial.question['text']}\n\n"
        f"{answers}\n\n[System]\n{rule}\n\n"
    )


def review_of(trial: Trial, reply: str, judge: Mapping[str, Any]) -> Row:
    """The review as it is stored; ``tuple`` is [-1, -1] where the reply cannot be read."""
    pair = scores_in(reply)
    if pair is not None and trial.swapped:
        pair = pair[1], pair[0]
    return {
        "id": trial.key,
        "question_id": trial.question["question_id"],
        "answer1_id": trial.reference.get("answer_id"),
        "answer2_id": trial.candidate.get("answer_id"),
        "category": str(trial.question.get("category", "default")),
        "content": reply,
        "tuple": [-1, -1] if pair is None else list(pair),
        "metadata": {"swapped": trial.swapped, "repeat": trial.repeat, "judge": dict(judge)},
    }
