"""What the commands of both stages have in common."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

from transformers.utils.logging import disable_progress_bar

from llava_core.errors import CoreError
from llava_core.training.records import DataError
from llava_core.training.task import TrainingError
from training.recipe_file import RecipeError, load_recipe
from training.run import run


def main(
    stage: Literal[1, 2],
    name: str,
    description: str | None,
    arguments: Sequence[str] | None = None,
) -> int:
    """Read the command line, train, and return the exit status: 130 after Ctrl-C."""
    parser = argparse.ArgumentParser(
        prog=f"python -m training.{name}",
        description=description,
        epilog="The same command goes on where an interrupted run stopped.",
    )
    parser.add_argument("recipe", type=Path, help="a YAML file; see training/recipes")
    parser.add_argument("settings", nargs="*", metavar="KEY=VALUE", help="instead of the recipe's")
    found = parser.parse_args(arguments)
    quiet: Callable[[], None] = disable_progress_bar
    quiet()  # bars of loading and writing weights: a moment, and not ours
    # PEFT loads bitsandbytes, which tells each time that it computes on a CPU without a package.
    logging.getLogger("bitsandbytes.backends.cpu.ops").setLevel(logging.ERROR)
    try:
        run(load_recipe(found.recipe, found.settings, stage), stage, _say)
    except RecipeError as error:
        print(error, file=sys.stderr)
        return 2
    except (CoreError, DataError, TrainingError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(
            f"error: {error}. What was saved is kept: see to the disk, and start the same command "
            "again.",
            file=sys.stderr,
        )
        return 1
    except KeyboardInterrupt:
        print("Interrupted; what is done is kept. The same command goes on from there.", flush=True)
        return 130
    return 0


def _say(line: str) -> None:
    print(line, flush=True)
