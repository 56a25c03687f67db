"""Start LLaVA Studio: ``python app.py`` (all of it), or ``controller``, ``worker`` or ``ui`` alone."""

from __future__ import annotations

import sys

from app.launch import main

if __name__ == "__main__":
    sys.exit(main())
