"""Stage 1, feature alignment: only the projector trains (Visual Instruction Tuning, section 4.2).

``python -m training.pretrain RECIPE [KEY=VALUE ...]``
"""

from __future__ import annotations

from training.command import main

if __name__ == "__main__":
    raise SystemExit(main(1, "pretrain", __doc__))
