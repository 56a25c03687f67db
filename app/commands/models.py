"""Which published LLaVA checkpoints fit this machine, each with the command that serves it.

python app.py models
python app.py models --device cuda:1
"""

from __future__ import annotations

import argparse

from app.errors import BadRequest
from app.machines import Machine
from app.settings import Settings

HELP = "which published checkpoints fit this machine, with the command for each"
SETTINGS: tuple[str, ...] = ("device",)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The form of the result."""
    parser.add_argument("--json", action="store_true", help="as JSON")


def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """Do it; raises :class:`app.errors.StudioError`."""
    # Imported here: help needs none of these large libraries.
    from app.worker.machine import machine_on

    try:
        machine = machine_on(settings.device)
    except (ValueError, RuntimeError) as error:
        raise BadRequest(
            f"The device {settings.device!r} cannot be used: {error}.", "Use --device cpu."
        ) from error
    print(machine.model_dump_json(indent=1) if arguments.json else words(machine))
    return 0


def words(machine: Machine) -> str:
    """The machine, and a block for each checkpoint: size, precision, memory, command."""
    lines = [f"{machine.device}: {machine.free / 1e9:.1f} GB free", ""]
    for fit in machine.fits:
        size = f"{fit.source}: {fit.parameters / 1e9:.1f} billion parameters"
        if fit.command:
            lines += [f"{size}, {fit.needed / 1e9:.1f} GB in {fit.precision}", f"  {fit.command}"]
        else:
            lines += [f"{size}, too large here: {fit.needed / 1e9:.1f} GB in 4bit"]
    return "\n".join(lines)
