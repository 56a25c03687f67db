"""The controller does not open itself to strangers."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.controller.server import check_secret_is_set, run
from app.errors import NotAllowed
from app.settings import Settings


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "::", "studio.example"])
def test_other_machines_need_a_secret(host: str, tmp_path: Path) -> None:
    with pytest.raises(NotAllowed, match="without a shared secret") as caught:
        run(Settings(host=host, data_dir=tmp_path, secret=""))
    assert "LLAVA_STUDIO_SECRET" in caught.value.remedy
    check_secret_is_set(Settings(host=host, data_dir=tmp_path, secret="long"))


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "127.0.0.5"])
def test_this_machine_needs_none(host: str, tmp_path: Path) -> None:
    check_secret_is_set(Settings(host=host, data_dir=tmp_path, secret=""))
