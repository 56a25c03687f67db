"""How far loading has come: on the worker's board, and told to the controller."""

from __future__ import annotations

from pathlib import Path

from app.machines import LoadingModel
from app.settings import Settings
from app.worker.checkpoint import load_backend
from app.worker.loading import BOARD, LoadingBoard
from app.worker.service import Service
from tests.tiny_checkpoint import make_tiny_checkpoint


class NotingBoard(LoadingBoard):
    """Keeps everything that was ever on it."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[LoadingModel] = []

    def _note(self, model: str, share: float | None) -> None:
        super()._note(model, share)
        self.seen += self.now


def test_the_share_grows_to_all_and_then_nothing_is_loading(tmp_path: Path) -> None:
    folder = tmp_path / "tiny"
    make_tiny_checkpoint(folder)
    board = NotingBoard()
    token = BOARD.set(board)
    try:
        backend = load_backend(str(folder), Settings(precision="32bit", device="cpu"))
    finally:
        BOARD.reset(token)
    assert {each.id for each in board.seen} == {"tiny"} and board.now == []
    first, *shares = [each.share for each in board.seen]
    assert first is None and shares[0] == 0.0 and shares[-1] == 1.0 and len(shares) > 5
    known = [share for share in shares if share is not None]
    assert known == sorted(known)
    assert backend.info.memory_bytes >= 4 * backend.info.parameters
    assert backend.info.device.startswith("CPU")


def test_the_status_tells_it(tmp_path: Path) -> None:
    service = Service(Settings(data_dir=tmp_path))
    with service.board.noting("large"):
        assert service.status().loading == [LoadingModel(id="large", share=None)]
    assert service.status().loading == []
