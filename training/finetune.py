"""Stage 2, end to end: projector and language model, in full or by LoRA.

``python -m training.finetune RECIPE [KEY=VALUE ...]``
"""

from __future__ import annotations

from training.command import main

if __name__ == "__main__":
    raise SystemExit(main(2, "finetune", __doc__))
