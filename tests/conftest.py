"""What holds for all tests."""

from __future__ import annotations

from hypothesis import settings

# A busy machine is no reason for a failure, and an example that was found once is tried again.
settings.register_profile("studio", deadline=None)
settings.load_profile("studio")
