"""Loading any LLaVA checkpoint in transformers format, at a precision that fits the machine."""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError
from safetensors import SafetensorError, safe_open
from transformers import (
    AutoModelForImageTextToText,
    AutoProcessor,
    BitsAndBytesConfig,
    PreTrainedModel,
    ProcessorMixin,
)

from llava_core.devices import free_memory, native_bfloat16, pick_device
from llava_core.errors import CheckpointError, MemoryShortage
from llava_core.model import Checkpoint, Precision
from llava_core.templates import NAMED_TEMPLATES, Renderer

log = logging.getLogger(__name__)

BYTES_PER_PARAMETER: dict[Precision, float] = {
    "32bit": 4.0,
    "16bit": 2.0,
    "8bit": 1.15,
    "4bit": 0.7,
}
"""Of a whole model; 8 and 4 bits keep vision tower, projector and head in 16 or 32 bits."""
HEADROOM = 200_000_000
"""Bytes kept free for activations and the KV cache of a conversation."""
KEPT_WHOLE = ["model.vision_tower", "model.multi_modal_projector", "lm_head"]
"""Parts that bitsandbytes leaves alone: they are small, and pictures suffer most."""
DEFAULT_SEES = "Photographs and drawings, as the checkpoint's own model card says."
PATTERNS = ["*.json", "*.safetensors", "*.jinja", "*.model", "*.txt"]


def load_checkpoint(
    source: str | Path,
    precision: Precision | Literal["auto"] = "auto",
    device: str = "auto",
) -> Checkpoint:
    """Load a checkpoint from a folder or a hub id.

    Raises :class:`CheckpointError` where it is not a LLaVA checkpoint in transformers format with
    safetensors weights, and :class:`MemoryShortage` where it does not fit.
    """
    folder = _folder_of(str(source))
    weights = inspect_weights(folder)
    try:
        on = pick_device(device)
    except (ValueError, RuntimeError) as error:
        raise CheckpointError(
            f"cannot use device {device!r}: {error}", "Use --device cpu."
        ) from error
    chosen = choose_precision(on, precision, weights.parameters * 4)
    model = _load_model(folder, chosen, on)
    processor = _load_processor(folder)
    about = _about(folder)
    renderer, template_name = _renderer(processor, about)
    return Checkpoint(
        model=model,
        processor=processor,
        tokenizer=processor.tokenizer,
        renderer=renderer,
        name=str(about.get("name") or folder.name),
        revision=_revision(folder, weights),
        precision=chosen,
        device=on,
        context_length=int(model.config.get_text_config().max_position_embeddings),
        parameters=weights.parameters,
        sees=str(about.get("sees") or DEFAULT_SEES),
        suggestions=tuple(about.get("suggestions") or ()),
        template_name=template_name,
    )


# --- what is in the folder ------------------------------------------------------------------------


@dataclass(frozen=True)
class Weights:
    """The weight files of a checkpoint and the number of parameters in them."""

    files: tuple[Path, ...]
    parameters: int


def _folder_of(source: str) -> Path:
    """The folder itself, or the hub's snapshot, downloaded where it is not there yet."""
    if Path(source).is_dir():
        return Path(source)
    if source.startswith((".", "/", "~")) or source.count("/") != 1:
        raise CheckpointError(
            f"there is no folder {source!r}",
            "Give a checkpoint's folder, or a hub id such as llava-hf/llava-1.5-7b-hf.",
        )
    try:
        return Path(snapshot_download(source, allow_patterns=PATTERNS))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        raise CheckpointError(
            f"{source!r} is neither a folder nor could it be fetched from the hub "
            f"({type(error).__name__})",
            "Check the name and the connection, or give a folder.",
        ) from error


def inspect_weights(folder: Path) -> Weights:
    """Read the headers of the weight files: nothing is loaded.

    Raises :class:`CheckpointError` for pickled weights, damaged files, and checkpoints in the
    original LLaVA format, which transformers would read as a model with random weights.
    """
    if not (folder / "config.json").is_file():
        raise CheckpointError(
            f"{folder} has no config.json",
            "Give the folder of a checkpoint in transformers format.",
        )
    files = tuple(sorted(folder.glob("*.safetensors")))
    if not files:
        raise CheckpointError(
            f"{folder} has no safetensors weights",
            "Pickled weights (.bin, .pt) can run code and are refused: convert them, for example "
            "with save_pretrained.",
        )
    parameters = 0
    for path in files:
        try:
            with safe_open(path, "pt") as file:
                names = list(file.keys())
                sizes = [file.get_slice(name).get_shape() for name in names]
        except (SafetensorError, OSError) as error:
            raise CheckpointError(
                f"{path.name} is damaged: {error}", "Copy or download the checkpoint again."
            ) from error
        if any("mm_projector" in name for name in names):
            raise CheckpointError(
                f"{folder.name} is in the original LLaVA format, not in that of transformers",
                "Use the converted one from https://huggingface.co/llava-hf.",
            )
        parameters += sum(int(torch.Size(size).numel()) for size in sizes)
    return Weights(files, parameters)


def _about(folder: Path) -> dict[str, Any]:
    """Our optional studio.json."""
    path = folder / "studio.json"
    try:
        about: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {}
    except ValueError as error:
        raise CheckpointError(
            f"{path} is not valid JSON: {error}", "Correct or remove it."
        ) from error
    return about


def _revision(folder: Path, weights: Weights) -> str:
    """The hub's commit, or a digest of the weight files."""
    if folder.parent.name == "snapshots":
        return folder.name
    digest = hashlib.sha256()
    for path in weights.files:
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:16]


# --- precision ------------------------------------------------------------------------------------


def choose_precision(
    device: torch.device,
    requested: Precision | Literal["auto"],
    bytes_32bit: int,
    *,
    free: int | None = None,
    bfloat16: bool | None = None,
) -> Precision:
    """The precision to load at; ``free`` (bytes) and ``bfloat16`` default to what the device says.

    ``auto``: on a GPU 16 bits, else 4; on a CPU 32 bits, else 16 where it multiplies bfloat16 in
    hardware, else 8, else 4. Raises :class:`MemoryShortage`, naming a precision that would fit.
    """
    free = free_memory(device) if free is None else free
    bfloat16 = native_bfloat16(device) if bfloat16 is None else bfloat16
    fitting = [p for p in BYTES_PER_PARAMETER if _needed(p, bytes_32bit) <= free]
    if requested != "auto":
        if requested not in get_args(Precision):
            raise CheckpointError(
                f"there is no precision {requested!r}",
                f"Use one of {', '.join(get_args(Precision))}.",
            )
        if requested not in fitting:
            raise _shortage(requested, bytes_32bit, free, fitting)
        return requested
    for candidate in _preferred(device, bfloat16):
        if candidate in fitting:
            return candidate
    raise _shortage("4bit", bytes_32bit, free, fitting)


def _preferred(device: torch.device, bfloat16: bool) -> list[Precision]:
    if device.type == "cuda":
        return ["16bit", "8bit", "4bit"]
    if device.type == "mps":
        return ["16bit"]
    return ["32bit", "16bit", "8bit", "4bit"] if bfloat16 else ["32bit", "8bit", "4bit"]


def _needed(precision: Precision, bytes_32bit: int) -> int:
    return int(bytes_32bit / 4 * BYTES_PER_PARAMETER[precision]) + HEADROOM


def _shortage(
    wanted: Precision, bytes_32bit: int, free: int, fitting: list[Precision]
) -> MemoryShortage:
    needed = _needed(wanted, bytes_32bit)
    remedy = "Use a smaller checkpoint, or a machine with more memory."
    if fitting:
        less = _needed(fitting[0], bytes_32bit)
        remedy = f"Use --precision {fitting[0]}, which needs {less / 1e9:.1f} GB."
    return MemoryShortage(
        f"the model needs about {needed / 1e9:.1f} GB in {wanted}, "
        f"and {free / 1e9:.1f} GB are free",
        remedy,
    )


# --- model and processor --------------------------------------------------------------------------


def _load_model(folder: Path, precision: Precision, device: torch.device) -> PreTrainedModel:
    try:
        model = AutoModelForImageTextToText.from_pretrained(
            folder, use_safetensors=True, **_loading_options(precision, device)
        )
    except (ValueError, KeyError, OSError, RuntimeError, ImportError) as error:
        raise CheckpointError(
            f"{folder.name} cannot be loaded as an image-text model: {error}",
            "Give a LLaVA checkpoint in transformers format.",
        ) from error
    assert isinstance(model, PreTrainedModel)
    model.train(False)
    return model


def _loading_options(precision: Precision, device: torch.device) -> dict[str, Any]:
    sixteen = torch.bfloat16 if native_bfloat16(device) else torch.float16
    whole = torch.float32 if device.type == "cpu" else sixteen
    options: dict[str, Any] = {"device_map": {"": device}}
    if precision == "32bit":
        return {**options, "dtype": torch.float32}
    if precision == "16bit":
        return {**options, "dtype": sixteen}
    if precision == "8bit":
        # It would tell at every product of every layer that it computes in float16.
        logging.getLogger("bitsandbytes.autograd._functions").setLevel(logging.ERROR)
        quantised = _quantisation(load_in_8bit=True)
    else:
        quantised = _quantisation(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_compute_dtype=whole,
            bnb_4bit_use_double_quant=True,
        )
    return {**options, "dtype": whole, "quantization_config": quantised}


def _quantisation(**options: Any) -> BitsAndBytesConfig:
    make: Any = BitsAndBytesConfig
    config: BitsAndBytesConfig = make(llm_int8_skip_modules=KEPT_WHOLE, **options)
    return config


def _load_processor(folder: Path) -> ProcessorMixin:
    """The checkpoint's processor, with Pillow's image processor: the originals' exact pixels."""
    try:
        processor: ProcessorMixin = AutoProcessor.from_pretrained(  # type: ignore[no-untyped-call]
            folder, backend="pil"
        )
    except (ValueError, KeyError, OSError, ImportError) as error:
        raise CheckpointError(
            f"{folder.name} brings no processor that can be loaded: {error}",
            "Copy tokenizer and processor files beside the weights.",
        ) from error
    if not hasattr(processor, "replace_image_token"):
        raise CheckpointError(
            f"{type(processor).__name__} does not say how many tokens a picture takes",
            "Use a checkpoint of the LLaVA family.",
        )
    return processor


def _renderer(processor: ProcessorMixin, about: dict[str, Any]) -> tuple[Renderer, str]:
    """The renderer with the checkpoint's own template, or else the one that studio.json names."""
    templates: Any = processor.chat_template or processor.tokenizer.chat_template
    template: str | None = templates.get("default") if isinstance(templates, dict) else templates
    named = str(about.get("template") or "vicuna_v1")
    if template is None:
        if named not in NAMED_TEMPLATES:
            raise CheckpointError(
                f"studio.json names an unknown template {named!r}",
                f"Use one of {', '.join(NAMED_TEMPLATES)}.",
            )
        log.warning("the checkpoint brings no chat template; using %s", named)
        template = NAMED_TEMPLATES[named]
    known = {text: name for name, text in NAMED_TEMPLATES.items()}
    name = known.get(template, hashlib.sha256(template.encode()).hexdigest()[:12])
    image_token: str = processor.image_token  # type: ignore[attr-defined]
    return Renderer(processor.tokenizer, template, image_token), name
