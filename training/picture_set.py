"""A small data set in LLaVA's format, as files: drawn scenes with captions and conversations.

``python -m training.picture_set runs/shapes --number 2000`` writes ``pictures/*.png``,
``captions.json`` for stage 1, ``conversations.json`` for stage 2 and ``held_out.json``.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image
from rich.progress import track

from training.drawing import draw_image
from training.entry import interruptible
from training.instructions import caption_record
from training.questions import dialogue, sample_kinds
from training.scenes import Scene, sample_scene
from training.writing import whole_file

MOST_TURNS = 8


def make_set(folder: Path, number: int, held_out: int, seed: int, pixels: int = 96) -> None:
    """Write the set: ``number`` training pictures and ``held_out`` others."""
    rng = random.Random(seed)
    pictures = folder / "pictures"
    pictures.mkdir(parents=True, exist_ok=True)
    captions, conversations, held = [], [], []
    for index in track(range(number + held_out), "drawing"):
        scene = sample_scene(rng)
        name = f"{index:06d}.png"
        save_picture(draw_image(scene, pixels), pictures / name)
        record = _conversation(index, name, scene, rng)
        if index >= number:
            held += [record] if record else []
            continue
        captions.append(caption_record(index, scene) | {"image": name})
        conversations += [record] if record else []
    for file, records in (
        ("captions", captions),
        ("conversations", conversations),
        ("held_out", held),
    ):
        with whole_file(folder / f"{file}.json") as opened:
            json.dump(records, opened, indent=1)


def save_picture(picture: Image.Image, path: Path) -> None:
    """A PNG file, whole or not at all."""
    draft = path.with_name(f"{path.name}.part")
    try:
        picture.save(draft, "PNG")
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def _conversation(index: int, name: str, scene: Scene, rng: random.Random) -> dict[str, Any] | None:
    """A few questions about the scene; None where nothing can be asked without doubt."""
    group = rng.choice(["conversation", "conversation", "detail", "reasoning"])
    most = MOST_TURNS if group == "conversation" else 2
    turns = dialogue(scene, rng, sample_kinds(rng, group, rng.randint(1, most)))
    said = []
    for at, turn in enumerate(turns):
        said.append({"from": "human", "value": ("<image>\n" if at == 0 else "") + turn.question})
        said.append({"from": "gpt", "value": turn.answer})
    return {"id": f"{group}-{index}", "image": name, "conversations": said} if said else None


@interruptible("the set is not whole. Start the same command again: it draws the same pictures.")
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status: 0, or 2 where it cannot run."""
    parser = argparse.ArgumentParser(prog="python -m training.picture_set", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--number", type=int, default=2000, help="training pictures")
    parser.add_argument("--held-out", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    if options.number < 1 or options.held_out < 0:
        parser.error("give at least 1 for --number, and 0 for --held-out")
    try:
        make_set(options.folder, options.number, options.held_out, options.seed)
    except OSError as error:
        print(f"training.picture_set: {error}", file=sys.stderr)
        return 2
    print(f"written to {options.folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
