"""The page's process keeps what people upload to itself."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from gradio.utils import get_upload_folder

from app.errors import StorageFailed
from app.settings import Settings
from app.ui.server import keep_uploads_apart


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a folder for uploads, whatever the tests are run with."""
    here = {key: value for key, value in os.environ.items() if key != "GRADIO_TEMP_DIR"}
    monkeypatch.setattr(os, "environ", here)


@pytest.mark.usefixtures("environment")
def test_two_pages_on_one_machine_share_no_uploads(
    tmp_path: Path,
) -> None:
    folders = []
    for port in (7860, 7861):
        os.environ.pop("GRADIO_TEMP_DIR", None)
        keep_uploads_apart(Settings(data_dir=tmp_path, port=port))
        folders.append(Path(get_upload_folder()))
    assert folders == [tmp_path / "uploads" / "7860", tmp_path / "uploads" / "7861"]
    assert all(folder.is_dir() for folder in folders)


@pytest.mark.usefixtures("environment")
def test_a_folder_of_ones_own_choice_stays(tmp_path: Path) -> None:
    os.environ["GRADIO_TEMP_DIR"] = "mine"
    keep_uploads_apart(Settings(data_dir=tmp_path))
    assert get_upload_folder() == "mine" and not list(tmp_path.iterdir())


@pytest.mark.usefixtures("environment")
def test_uploads_that_cannot_be_kept_end_the_start(tmp_path: Path) -> None:
    (tmp_path / "uploads").touch()
    with pytest.raises(StorageFailed, match="uploads") as caught:
        keep_uploads_apart(Settings(data_dir=tmp_path))
    assert "--data-dir" in caught.value.remedy
