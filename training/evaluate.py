"""Ask checkpoints, and score what they answer.

``python -m training.evaluate COMMAND --help`` tells the options of each command.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Callable, Sequence
from types import ModuleType

from transformers.utils.logging import disable_progress_bar

from llava_core.errors import CoreError
from llava_core.training.records import DataError
from training.endpoint.errors import EndpointError
from training.entry import INTERRUPTED

COMMANDS = {
    "answers": "ask a checkpoint or an endpoint the questions of a file",
    "scenes": "ask about drawn scenes, and compare with the truth",
    "science-qa": "score ScienceQA predictions, alone and in ensembles",
    "judge": "have a judge score answers against reference answers (LLaVA-Bench)",
    "reviews": "summarise a judge's review files",
    "pope": "score yes/no answers about what is there",
    "report": "gather results into one page",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; 1 where something cannot be read or asked, 130 after Ctrl-C."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    parser = argparse.ArgumentParser(
        prog="python -m training.evaluate",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    wanted = words[0] if words else ""
    for name, text in COMMANDS.items():
        if name == wanted:  # the others load what they do not need here
            _module(name).add(commands)
        else:
            commands.add_parser(name, help=text)
    options = parser.parse_args(words)
    quiet: Callable[[], None] = disable_progress_bar
    quiet()  # bars of loading weights: a moment, and not ours
    try:
        return int(options.run(options))
    except (CoreError, DataError, EndpointError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(
            "Interrupted; what is written is kept. The same command goes on from there.",
            file=sys.stderr,
        )
        return INTERRUPTED


def _module(name: str) -> ModuleType:
    return importlib.import_module(f"training.evals.{name.replace('-', '_')}_command")


if __name__ == "__main__":
    raise SystemExit(main())
