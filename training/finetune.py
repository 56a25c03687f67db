"""Stage 2, end to end: projector and language model, in full or by LoRA.

``python -m training.finetune RECIPE [KEY=VALUE ...]``
"""

from __future__ import annotations

from collections.abc import Sequence

from training.entry import interruptible


@interruptible("nothing has begun yet.")
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    from training.command import main as train  # takes seconds, in which Ctrl-C may come

    return train(2, "finetune", __doc__, arguments)


if __name__ == "__main__":
    raise SystemExit(main())
