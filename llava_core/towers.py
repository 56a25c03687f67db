"""Vision towers: the part of CLIP, SigLIP, DINOv2 or SAM that looks at pictures.

Visual Instruction Tuning (section 4.1) takes CLIP's; transformers' LLaVA holds any of these. What
differs is only what lies before the patches (CLS, registers, or nothing), and how many patches a
picture has.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, Literal

import torch
from huggingface_hub import snapshot_download
from torch import Tensor
from transformers import (
    AutoConfig,
    CLIPVisionModel,
    Dinov2Model,
    Dinov2WithRegistersModel,
    PreTrainedModel,
    SamVisionModel,
    SiglipVisionModel,
)
from transformers.utils import logging as transformers_logging

from llava_core.errors import CheckpointError
from llava_core.loading import folder_of
from llava_core.tower_pictures import load_image_processor, picture_size, with_size
from llava_core.tower_positions import resize_positions
from llava_core.weights import inspect_weights

Kind = Literal["clip", "siglip", "dinov2", "dinov2_with_registers", "sam"]
Strategy = Literal["default", "full"]

_CLASSES: dict[Kind, type[PreTrainedModel]] = {
    "clip": CLIPVisionModel,
    "siglip": SiglipVisionModel,
    "dinov2": Dinov2Model,
    "dinov2_with_registers": Dinov2WithRegistersModel,
    "sam": SamVisionModel,
}
PICKLED = "pytorch_model*.bin*"
_KINDS: dict[str, Kind] = {
    "clip": "clip",
    "clip_vision_model": "clip",
    "siglip": "siglip",
    "siglip_vision_model": "siglip",
    "dinov2": "dinov2",
    "dinov2_with_registers": "dinov2_with_registers",
    "sam": "sam",
    "sam_vision_model": "sam",
}
"""``model_type`` in config.json -> kind. SigLIP2 at a fixed size calls itself "siglip"."""
_ANY_SIZE: tuple[Kind, ...] = ("dinov2", "dinov2_with_registers")
"""They interpolate their positions themselves, to the size of the pictures that come."""
SUPPORTED = "CLIP, SigLIP (SigLIP2 at a fixed size too), DINOv2 (with registers too) and SAM"


@dataclass(frozen=True)
class Tower:
    """A vision tower with everything a LLaVA needs to know of it.

    ``image_size``: pixels of a side of what ``image_processor`` gives; ``hidden_size``: d;
    ``layers``: transformer layers; ``leading_tokens``: tokens before the patches (CLS, registers);
    ``select_strategy``: "default" drops the first token (CLS), "full" keeps all.
    """

    model: PreTrainedModel
    image_processor: Any
    kind: Kind
    patch_size: int
    image_size: int
    hidden_size: int
    layers: int
    leading_tokens: int
    select_strategy: Strategy

    @property
    def visual_tokens(self) -> int:
        """Visual tokens of one picture, registers included."""
        patches = (self.image_size // self.patch_size) ** 2
        return patches + self.leading_tokens - (self.select_strategy == "default")

    def encode(self, pixel_values: Tensor, feature_layer: int | Sequence[int] = -2) -> Tensor:
        """Z_v of ``pixel_values`` (N, 3, H, W): (N, visual tokens, d), gradients as the caller set.

        ``feature_layer``: 0 the embeddings, 1 the first layer, -1 the last one before the final
        norm; several are laid side by side: (N, visual tokens, d * layers). Raises
        :class:`CheckpointError` for a layer that is not there.
        """
        self.check_layers(feature_layer)
        weight = next(self.model.parameters())
        output = self.model(
            pixel_values.to(weight.device, weight.dtype),
            output_hidden_states=True,
            return_dict=True,
        )
        states = [output.hidden_states[layer] for layer in as_list(feature_layer)]
        rows = [state.flatten(1, -2) for state in states]  # SAM keeps rows and columns apart
        if self.select_strategy == "default":
            rows = [row[:, 1:] for row in rows]
        return torch.cat(rows, dim=-1)

    def check_layers(self, feature_layer: int | Sequence[int]) -> None:
        """Raises :class:`CheckpointError` where the tower has no such layer, or none is named."""
        wanted = as_list(feature_layer)
        missing = [n for n in wanted if not -self.layers - 1 <= n <= self.layers]
        if missing or not wanted:
            raise CheckpointError(
                f"vision_feature_layer is {feature_layer}, and the tower has {self.layers} layers",
                f"Use numbers from {-self.layers - 1} to {self.layers}; -2 is LLaVA's.",
            )


def as_list(feature_layer: int | Sequence[int]) -> list[int]:
    """One layer or several, as a list."""
    return [feature_layer] if isinstance(feature_layer, int) else list(feature_layer)


def load_tower(
    source: str | Path, dtype: torch.dtype = torch.float32, *, image_size: int | None = None
) -> Tower:
    """The vision tower of a checkpoint in transformers format, from a folder or a hub id.

    ``image_size`` (pixels) makes pictures larger or smaller than the checkpoint has them, and with
    that the number of visual tokens; learnt positions are interpolated. Raises
    :class:`CheckpointError` for any other kind of checkpoint, for a size that is not a whole number
    of patches, and where weights or the picture processor's settings are missing.
    """
    folder = _folder_with_weights(str(source))
    config, kind = _vision_config(folder)
    images = load_image_processor(folder)
    size = picture_size(images, folder.name)
    _check_size(config, kind, size, folder.name)
    model = _load_model(folder, kind, config, dtype)
    if image_size is not None and image_size != size:
        model = resize_positions(model, image_size, by_itself=kind in _ANY_SIZE)
        images = with_size(images, size, image_size)
        size = picture_size(images, folder.name)
    return _describe(model, images, kind, size)


def _folder_with_weights(source: str) -> Path:
    """The checkpoint's folder, with its weights downloaded.

    Several published towers come as pickles alone (CLIP ViT-L/14 at 336 pixels is LLaVA v1.5's).
    Those are read with ``weights_only``, which refuses all that is not a tensor.
    """
    folder = folder_of(source)
    if any(folder.glob("*.safetensors")):
        inspect_weights(folder)
        return folder
    if not Path(source).is_dir():
        snapshot_download(source, allow_patterns=[PICKLED])
    if not any(folder.glob(PICKLED)):
        inspect_weights(folder)  # says what is missing
    return folder


def _describe(model: PreTrainedModel, images: Any, kind: Kind, size: int) -> Tower:
    config: Any = model.config
    leads = _leading_tokens(config, kind)
    return Tower(
        model=model,
        image_processor=images,
        kind=kind,
        patch_size=int(config.patch_size),
        image_size=size,
        hidden_size=int(config.hidden_size),
        layers=int(config.num_hidden_layers),
        leading_tokens=leads,
        select_strategy="default" if leads else "full",
    )


def _vision_config(folder: Path) -> tuple[Any, Kind]:
    """The vision part of the configuration, and which kind it is."""
    try:
        config: Any = AutoConfig.from_pretrained(folder)
        model_type = str(config.model_type)
    except (ValueError, KeyError, OSError) as error:
        raise CheckpointError(
            f"{folder.name}/config.json cannot be read: {error}", f"Supported are {SUPPORTED}."
        ) from error
    if model_type not in _KINDS:
        raise CheckpointError(
            f"{folder.name} is a {model_type!r} checkpoint, not a vision tower",
            f"Supported are {SUPPORTED}.",
        )
    kind = _KINDS[model_type]
    vision = getattr(config, "vision_config", config)
    if kind == "siglip":
        vision.vision_use_head = False  # it pools patches into one vector; LLaVA keeps patches
    return vision, kind


def _leading_tokens(config: Any, kind: Kind) -> int:
    """Tokens before the patches: CLS, and registers."""
    if kind in ("siglip", "sam"):
        return 0
    return 1 + int(getattr(config, "num_register_tokens", 0))


def _load_model(folder: Path, kind: Kind, config: Any, dtype: torch.dtype) -> PreTrainedModel:
    """The vision part alone; the checkpoint's other parts are left in the file."""
    load: Any = _CLASSES[kind].from_pretrained
    options = {"config": config, "dtype": dtype, "use_safetensors": None}
    before = transformers_logging.get_verbosity()
    # It would list every weight of the other parts.
    transformers_logging.set_verbosity(logging.ERROR)
    try:
        model, report = load(folder, output_loading_info=True, **options)
    except (ValueError, OSError, RuntimeError, UnpicklingError) as error:
        raise CheckpointError(
            f"the vision tower of {folder.name} cannot be loaded: {error}",
            f"Give a checkpoint in transformers format. Supported are {SUPPORTED}.",
        ) from error
    finally:
        transformers_logging.set_verbosity(before)
    if missing := sorted(report["missing_keys"]):
        raise CheckpointError(
            f"{folder.name} lacks {len(missing)} of the vision tower's weights, "
            f"such as {missing[0]}",
            "Copy or download the checkpoint again; a text model alone has no vision tower.",
        )
    assert isinstance(model, PreTrainedModel)
    model.train(False)
    return model


def _check_size(config: Any, kind: Kind, size: int, name: str) -> None:
    """Raises :class:`CheckpointError` where the tower cannot take what its processor gives."""
    if kind not in _ANY_SIZE and config.image_size != size:
        raise CheckpointError(
            f"the picture processor of {name} gives {size} pixels a side, and its vision tower "
            f"takes {config.image_size}",
            "Correct the size in preprocessor_config.json.",
        )
