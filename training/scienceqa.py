"""ScienceQA's own files as LLaVA's training JSON.

``python -m training.scienceqa DIR --split train --format QCM-LEA --output out.json`` reads
``problems.json`` and ``pid_splits.json`` (https://github.com/lupantech/ScienceQA/tree/main/data).
Question, context and options make the question (QCM; CQM puts the context first); the target is
the answer alone (A), after lecture and explanation (LEA), or in sections (LEPA). The paper trains
on reasoning first: section 5.2 of https://arxiv.org/abs/2304.08485.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import ascii_uppercase
from typing import Any

from llava_core.training.records import DataError
from training.entry import interruptible
from training.writing import whole_file


@dataclass(frozen=True)
class Problem:
    """One problem; ``answer`` counts the choices from 0. Texts that are absent are empty."""

    id: str
    question: str
    choices: tuple[str, ...]
    answer: int
    hint: str = ""
    image: str = ""
    lecture: str = ""
    solution: str = ""

    def __post_init__(self) -> None:
        if not 0 <= self.answer < len(self.choices) <= len(ascii_uppercase):
            raise DataError(
                f"problem {self.id} names choice {self.answer} of {len(self.choices)}",
                "Correct problems.json, or load it anew.",
            )

    @property
    def letter(self) -> str:
        """The right choice: A, B, ..."""
        return ascii_uppercase[self.answer]


def _question(problem: Problem) -> str:
    return f"Question: {problem.question}"


def _context(problem: Problem) -> str:
    return f"Context: {problem.hint.strip() or 'N/A'}"


def _options(problem: Problem) -> str:
    lettered = zip(ascii_uppercase, problem.choices, strict=False)
    return "Options: " + " ".join(f"({letter}) {choice}" for letter, choice in lettered)


def _answer(problem: Problem) -> str:
    return f"The answer is {problem.letter}."


def _reason_then_answer(problem: Problem) -> str:
    parts = (problem.lecture.strip(), problem.solution.strip(), _answer(problem))
    return " ".join(part for part in parts if part)


def _sections(problem: Problem) -> str:
    parts = (("LECTURE", problem.lecture.strip()), ("SOLUTION", problem.solution.strip()))
    lines = [f"{name}: {text}" for name, text in parts if text]
    return "\n".join([*lines, "###", f"ANSWER: {problem.letter}."])


QUESTIONS: dict[str, tuple[Callable[[Problem], str], ...]] = {
    "QCM": (_question, _context, _options),
    "CQM": (_context, _question, _options),
}
"""The lines of a question, by the name of its form."""
TARGETS: dict[str, Callable[[Problem], str]] = {
    "A": _answer,
    "LEA": _reason_then_answer,
    "LEPA": _sections,
}
"""What is to be said, by the name of its form."""
FORMATS = tuple(f"{question}-{target}" for question in QUESTIONS for target in TARGETS)


def question_of(problem: Problem, form: str = "QCM") -> str:
    """The question in one of :data:`QUESTIONS`' forms; a context that is absent is N/A."""
    return _single_spaced("\n".join(line(problem) for line in QUESTIONS[form]))


def target_of(problem: Problem, form: str = "LEA") -> str:
    """The answer in one of :data:`TARGETS`' forms."""
    return _single_spaced(TARGETS[form](problem))


def _single_spaced(text: str) -> str:
    """As the released conversion does it."""
    return text.replace("  ", " ").strip()


def record_of(problem: Problem, form: str = "QCM-LEA") -> dict[str, Any]:
    """One training record; ``form`` is one of :data:`FORMATS`."""
    question, _, target = form.partition("-")
    placeholder = "<image>\n" if problem.image else ""
    image = {"image": f"{problem.id}/{problem.image}"} if problem.image else {}
    return {
        "id": problem.id,
        **image,
        "conversations": [
            {"from": "human", "value": placeholder + question_of(problem, question)},
            {"from": "gpt", "value": target_of(problem, target)},
        ],
    }


def read_problems(folder: Path, split: str) -> Iterator[Problem]:
    """The problems of a split, in its order.

    Raises :class:`llava_core.training.records.DataError` where a file is missing or broken, or the
    split is unknown.
    """
    splits, problems = (_object(folder / name) for name in ("pid_splits.json", "problems.json"))
    if split not in splits:
        raise DataError(
            f"there is no split {split!r} in {folder / 'pid_splits.json'}",
            f"Name one of {', '.join(splits)}.",
        )
    for name in splits[split]:
        if name not in problems:
            raise DataError(
                f"problem {name} of split {split!r} is not in problems.json",
                "Both files must be of the same release: load them anew.",
            )
        yield _problem(name, problems[name])


def _object(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(
            f"{path} cannot be read: {error}",
            "Name the folder of ScienceQA's problems.json and pid_splits.json.",
        ) from error
    if not isinstance(found, dict):
        raise DataError(f"{path} is not a JSON object", "Load it anew.")
    return found


def _problem(name: str, source: Any) -> Problem:
    try:
        texts = {key: source.get(key) or "" for key in ("hint", "image", "lecture", "solution")}
        choices = tuple(str(choice) for choice in source["choices"])
        return Problem(name, source["question"], choices, int(source["answer"]), **texts)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"problem {name} lacks its question, its choices or its answer: {error!r}",
            "Correct problems.json, or load it anew.",
        ) from error


def convert(folder: Path, split: str, form: str, output: Path) -> int:
    """Write the records of a split, whole or not at all; returns how many. Raises ``DataError``."""
    number = 0
    with whole_file(output) as file:
        file.write("[")
        for number, problem in enumerate(read_problems(folder, split), 1):
            file.write(",\n" if number > 1 else "\n")
            file.write(json.dumps(record_of(problem, form), ensure_ascii=False))
        file.write("\n]\n")
    return number


@interruptible("nothing was written.")
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status: 0, or 2 where it cannot run."""
    parser = argparse.ArgumentParser(prog="python -m training.scienceqa", description=__doc__)
    parser.add_argument("folder", type=Path, help="the folder of problems.json and pid_splits.json")
    parser.add_argument("--split", default="train", help="one of pid_splits.json's")
    parser.add_argument("--format", default="QCM-LEA", choices=FORMATS, help="question and target")
    parser.add_argument("--output", type=Path, required=True, help="the training JSON")
    options = parser.parse_args(arguments)
    try:
        number = convert(options.folder, options.split, options.format, options.output)
    except (DataError, OSError) as error:
        print(f"training.scienceqa: {error}", file=sys.stderr)
        return 2
    print(f"{number:,} records in {options.output}; pictures are DIR/ID/NAME: check them with")
    print(f"python -m training.check {options.output} --images FOLDER_OF_{options.split.upper()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
