"""The example pictures of the page: handpicked scenes, one for each sort of question.

``python -m training.examples`` draws them anew into ``assets/examples``.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

from training.drawing import draw_image
from training.scenes import RADII, Scene, Thing, reading_order

FOLDER = Path(__file__).resolve().parent.parent / "assets" / "examples"
PIXELS = 384


@dataclass(frozen=True)
class Example:
    """A picture to start from. ``kind`` is the question's type in :mod:`training.questions`."""

    name: str
    kind: str
    question: str
    scene: Scene


def _thing(words: str, x: float, y: float, *, filled: bool = True) -> Thing:
    """A thing from "size colour kind", at a place in shares of the canvas."""
    size, colour, kind = words.split()
    return Thing(kind, colour, size, x, y, sum(RADII[size]) / 2, filled)


def _scene(seed: int, background: str, *things: Thing) -> Scene:
    return Scene(reading_order(list(things)), background, "sharp", seed)


EXAMPLES = (
    Example(
        "shapes",
        "colour",
        "What colour is the star?",
        _scene(
            103,
            "plain",
            _thing("large purple star", 0.26, 0.27),
            _thing("medium orange circle", 0.76, 0.24),
            _thing("large green triangle", 0.73, 0.74),
            _thing("medium blue ring", 0.24, 0.76),
        ),
    ),
    Example(
        "hearts",
        "count",
        "How many hearts are there?",
        _scene(
            211,
            "graded",
            _thing("large red heart", 0.5, 0.5),
            _thing("medium pink heart", 0.17, 0.21),
            _thing("medium purple heart", 0.82, 0.82, filled=False),
            _thing("small yellow sun", 0.83, 0.17),
            _thing("medium black cup", 0.18, 0.81),
        ),
    ),
    Example(
        "night",
        "place",
        "Where is the cat?",
        _scene(
            5,
            "dark",
            _thing("large orange cat", 0.77, 0.76),
            _thing("medium yellow star", 0.2, 0.2),
            _thing("small pink star", 0.55, 0.14),
            _thing("large blue house", 0.23, 0.75),
        ),
    ),
    Example(
        "street",
        "describe",
        "Describe the picture.",
        _scene(
            108,
            "graded",
            _thing("large red house", 0.5, 0.52),
            _thing("medium green tree", 0.17, 0.5),
            _thing("medium yellow sun", 0.82, 0.17),
            _thing("large blue car", 0.77, 0.82),
        ),
    ),
    Example(
        "garden",
        "larger",
        "Which is larger, the fish or the tree?",
        _scene(
            321,
            "graded",
            _thing("small orange fish", 0.24, 0.76),
            _thing("large green tree", 0.74, 0.52),
            _thing("medium black diamond", 0.2, 0.22, filled=False),
        ),
    ),
    Example(
        "landscape",
        "nothing",
        "What do you see?",
        Scene((), "plain", "sharp", 47, nothing="photo"),
    ),
)


def write_examples(folder: Path) -> list[Path]:
    """Draw every example into ``folder`` (PNG, 384 x 384) beside ``examples.json``.

    Returns the paths of all files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{example.name}.png" for example in EXAMPLES]
    for example, path in zip(EXAMPLES, paths, strict=True):
        draw_image(example.scene, PIXELS).save(path, optimize=True)
    index = folder / "examples.json"
    entries = [
        {"image": path.name, "question": example.question}
        for example, path in zip(EXAMPLES, paths, strict=True)
    ]
    index.write_text(json.dumps(entries, indent=2) + "\n")
    return [*paths, index]


def main() -> None:
    """Command line: ``python -m training.examples [--folder FOLDER]``."""
    parser = argparse.ArgumentParser(prog="python -m training.examples", description=__doc__)
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where the files go")
    for path in write_examples(parser.parse_args().folder):
        print(f"wrote {path}")


if __name__ == "__main__":
    main()
