"""Features of a frozen vision tower: computed live, or once and kept on disk.

Both ways give the same bits: pictures go through the tower in groups of one fixed size, and what is
kept is what the tower gave, in its own precision. Kept features are found by the picture's content,
the preprocessing and the tower's weights; a change of any of them computes anew.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from llava_core.errors import PictureError
from llava_core.images import ImageLimits, decode_image
from llava_core.training.locks import one_at_a_time
from llava_core.training.task import TrainingError

GROUP = 8
"""Pictures that go through the tower together; fewer are filled up with grey ones."""
LIMITS = ImageLimits(max_bytes=200_000_000, max_pixels=300_000_000)
Progress = Callable[[int, int], None]


class Eyes:
    """A LLaVA's vision tower with its preprocessing: picture files -> Z_v."""

    def __init__(self, model: Any, image_processor: Any) -> None:
        self.model, self.processor = model, image_processor
        self.tower: nn.Module = model.model.vision_tower

    def open(self, path: Path) -> Image.Image:
        """The picture as RGB. Raises :class:`PictureError` where it is gone or damaged."""
        try:
            return decode_image(path.read_bytes(), LIMITS)
        except OSError as error:
            raise PictureError(f"{path} cannot be read ({error.strerror})") from error
        except PictureError as error:
            raise PictureError(f"{path}: {error.message}", error.remedy) from error

    def pixels(self, path: Path) -> Tensor:
        """``pixel_values`` of one picture: (3, H, W) float32."""
        values: Tensor = self.processor(self.open(path), return_tensors="pt")["pixel_values"][0]
        return values

    def grey(self) -> Tensor:
        """``pixel_values`` of a picture that shows nothing: zeros (3, H, W)."""
        made = self.processor(Image.new("RGB", (8, 8)), return_tensors="pt")
        return torch.zeros_like(made["pixel_values"][0])

    def encode(self, pixel_values: Tensor) -> Tensor:
        """Z_v of ``pixel_values`` (N, 3, H, W): (N, visual tokens, d), in the tower's precision.

        The layers and the choice of tokens are those of the model's configuration.
        """
        config = self.model.config
        parameter = next(self.tower.parameters())
        output = self.tower(
            pixel_values.to(parameter.device, parameter.dtype),
            output_hidden_states=True,
            return_dict=True,
        )
        layers = config.vision_feature_layer
        layers = [layers] if isinstance(layers, int) else layers
        chosen = [output.hidden_states[layer] for layer in layers]
        if config.vision_feature_select_strategy == "default":
            chosen = [hidden[:, 1:] for hidden in chosen]
        return torch.cat(chosen, dim=-1)

    @torch.no_grad()
    def look(self, pixel_values: Tensor) -> Tensor:
        """The same without gradients, in groups of one size: a picture alone as in company."""
        parts = []
        for start in range(0, len(pixel_values), GROUP):
            part = pixel_values[start : start + GROUP]
            grey = part.new_zeros(GROUP - len(part), *part.shape[1:])
            with torch.autocast(self.tower_device.type, enabled=False):
                parts.append(self.encode(torch.cat([part, grey]))[: len(part)])
        return torch.cat(parts)

    def freeze_unused(self) -> None:
        """Freeze what Z_v does not depend on, such as the tower's last layer: it gets no gradients,
        and other processes would wait for them."""
        trains = [parameter for parameter in self.tower.parameters() if parameter.requires_grad]
        z_v = self.encode(self.grey()[None])
        gradients = torch.autograd.grad(z_v.float().sum(), trains, allow_unused=True)
        for parameter, gradient in zip(trains, gradients, strict=True):
            parameter.requires_grad_(gradient is not None)

    @property
    def tower_device(self) -> torch.device:
        """Where the tower computes."""
        return next(self.tower.parameters()).device

    def fingerprint(self) -> str:
        """Changes with the tower's weights and precision, the layers, and the preprocessing."""
        digest = hashlib.sha256()
        config = self.model.config
        settings = [
            self.processor.to_dict(),
            config.vision_feature_layer,
            config.vision_feature_select_strategy,
        ]
        digest.update(json.dumps(settings, sort_keys=True, default=str).encode())
        for name, value in sorted(self.tower.state_dict().items()):
            digest.update(f"{name} {value.dtype}".encode())
            digest.update(value.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes())
        return digest.hexdigest()[:16]


@dataclass(frozen=True)
class _Known:
    """A picture file that was seen before, and the row of its features."""

    size: int
    changed: int
    row: int


class FeatureStore:
    """Kept features in ``folder``: rows of one file, found by path and by content.

    Writing can be interrupted at any moment: a row counts once the index names it. Several runs
    may fill one store at the same time.
    """

    def __init__(self, folder: Path, eyes: Eyes) -> None:
        self._folder = folder / "features" / eyes.fingerprint()
        self._folder.mkdir(parents=True, exist_ok=True)
        self._eyes = eyes
        self._by_path: dict[str, _Known] = {}
        self._by_content: dict[str, int] = {}
        self._rows = 0
        self._shape: tuple[int, ...] = ()
        self._dtype = torch.float32
        self._read_to = 0
        self._read_index()

    def fill(self, paths: Sequence[Path], progress: Progress | None = None) -> int:
        """Compute what is missing; returns how many pictures went through the tower.

        Raises :class:`PictureError` for a picture that cannot be read, and :class:`TrainingError`
        where the disk is full; what is there stays.
        """
        computed = 0
        missing = [path for path in paths if not self._knows(path)]
        for start in range(0, len(missing), GROUP):
            computed += self._add(missing[start : start + GROUP])
            if progress:
                progress(min(start + GROUP, len(missing)), len(missing))
        return computed

    def rows(self, paths: Iterable[Path]) -> list[int]:
        """The rows of pictures that :meth:`fill` was given."""
        return [self._by_path[str(path)].row for path in paths]

    def features(self, rows: Sequence[int]) -> Tensor:
        """Z_v of these rows: (N, visual tokens, d), the very bits that the tower gave."""
        number = self._size() // self._row_bytes()
        raw = np.memmap(self._data, np.uint8, "r", shape=(number, self._row_bytes()))
        taken = torch.from_numpy(raw[list(rows)])
        return taken.view(self._dtype).view(len(rows), *self._shape)

    # --- the files ---

    @property
    def _data(self) -> Path:
        return self._folder / "features.bin"

    @property
    def _index(self) -> Path:
        return self._folder / "index.jsonl"

    def _size(self) -> int:
        return self._data.stat().st_size if self._data.exists() else 0

    def _row_bytes(self) -> int:
        return int(np.prod(self._shape)) * self._dtype.itemsize

    def _read_index(self) -> None:
        """Learn what the index has gained; half a line at its end is from a run that was killed."""
        if not self._index.exists():
            return
        with self._index.open("rb") as file:
            file.seek(self._read_to)
            gained = file.read()
        whole = gained[: gained.rfind(b"\n") + 1]
        self._read_to += len(whole)
        for line in whole.splitlines():
            self._learn(json.loads(line))

    def _learn(self, entry: dict[str, Any]) -> None:
        if "shape" in entry:
            self._shape = tuple(entry["shape"])
            self._dtype = getattr(torch, entry["dtype"])
            return
        self._rows = max(self._rows, entry["row"] + 1)
        self._by_content[entry["sha256"]] = entry["row"]
        known = _Known(entry["size"], entry["changed"], entry["row"])
        self._by_path[entry["path"]] = known

    def _knows(self, path: Path) -> bool:
        known = self._by_path.get(str(path))
        if known is None:
            return False
        about = path.stat() if path.exists() else None
        return about is None or (about.st_size, about.st_mtime_ns) == (known.size, known.changed)

    def _add(self, paths: Sequence[Path]) -> int:
        with one_at_a_time(self._folder / "lock"):
            self._read_index()
            entries = [_entry(path) for path in paths if not self._knows(path)]
            new: dict[str, Path] = {}
            for entry in entries:
                if entry["sha256"] not in self._by_content:
                    new.setdefault(entry["sha256"], Path(entry["path"]))
            rows = {content: self._rows + at for at, content in enumerate(new)}
            for entry in entries:
                entry["row"] = rows.get(content := entry["sha256"], self._by_content.get(content))
            features = self._compute([*new.values()])
            try:
                self._append(features, entries)
            except OSError as error:
                raise TrainingError(
                    f"the features could not be written to {self._folder} ({error}). Free some "
                    "disk space and start again, or train with features: live."
                ) from error
        return len(new)

    def _compute(self, paths: Sequence[Path]) -> Tensor | None:
        if not paths:
            return None
        return self._eyes.look(torch.stack([self._eyes.pixels(path) for path in paths])).cpu()

    def _append(self, features: Tensor | None, entries: list[dict[str, Any]]) -> None:
        """First the rows, then the lines that name them; over what was half written before."""
        if features is not None:
            if not self._shape:
                name = str(features.dtype).removeprefix("torch.")
                entries = [{"shape": tuple(features.shape[1:]), "dtype": name}, *entries]
            row_bytes = features[0].numel() * features.itemsize
            raw = features.contiguous().view(torch.uint8).numpy().tobytes()
            _write_at(self._data, self._rows * row_bytes, raw)
        lines = "".join(f"{json.dumps(entry)}\n" for entry in entries).encode()
        _write_at(self._index, self._read_to, lines)
        self._read_to += len(lines)
        for entry in entries:
            self._learn(entry)


def _write_at(path: Path, place: int, content: bytes) -> None:
    """Make ``content`` the end of the file, from ``place`` on; it is on the disk on return."""
    with path.open("r+b" if path.exists() else "wb") as file:
        file.truncate(place)
        file.seek(place)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _entry(path: Path) -> dict[str, Any]:
    try:
        about = path.stat()
        content = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise PictureError(f"{path} cannot be read ({error.strerror})") from error
    return {
        "path": str(path),
        "size": about.st_size,
        "changed": about.st_mtime_ns,
        "sha256": content,
    }
