"""Start LLaVA Studio: ``python app.py``, or one part of it: ``controller``, ``worker``, ``ui``."""

from __future__ import annotations

import sys

from app.launch import main

if __name__ == "__main__":
    sys.exit(main())
