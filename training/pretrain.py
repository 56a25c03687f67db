"""Stage 1, feature alignment: only the projector trains (Visual Instruction Tuning, section 4.2).

``python -m training.pretrain RECIPE [KEY=VALUE ...]``
"""

from __future__ import annotations

from collections.abc import Sequence

from training.entry import interruptible


@interruptible("nothing has begun yet.")
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    from training.command import main as train  # takes seconds, in which Ctrl-C may come

    return train(1, "pretrain", __doc__, arguments)


if __name__ == "__main__":
    raise SystemExit(main())
