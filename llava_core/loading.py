"""Loading any LLaVA checkpoint in transformers format, at a precision that fits the machine.

Its weights are read by :mod:`llava_core.weights` first, its processor and chat template by
:mod:`llava_core.processors`.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError
from transformers import AutoModelForImageTextToText, BitsAndBytesConfig, PreTrainedModel

from llava_core.adapters import adapt, base_of, is_adapter
from llava_core.card import read_card
from llava_core.devices import free_memory, native_bfloat16, pick_device
from llava_core.errors import CheckpointError, MemoryShortage
from llava_core.half import has_half_products, use_half_products
from llava_core.model import Checkpoint, Precision
from llava_core.processors import load_processor, renderer_of
from llava_core.weights import inspect_weights, revision_of

log = logging.getLogger(__name__)

BYTES_PER_PARAMETER: dict[Precision, float] = {
    "32bit": 4.0,
    "16bit": 2.0,
    "8bit": 1.25,
    "4bit": 0.8,
}
"""Of a whole model; 8 and 4 bits keep tower, projector, embeddings and head in 16 or 32 bits."""
HEADROOM = 200_000_000
"""Bytes kept free for activations and the KV cache of a conversation."""
KEPT_WHOLE = ["model.vision_tower", "model.multi_modal_projector", "lm_head"]
"""Parts that bitsandbytes leaves alone: they are small, and pictures suffer most."""
DEFAULT_SEES = "Photographs and drawings, as the checkpoint's own model card says."
PATTERNS = ["*.json", "*.safetensors", "*.jinja", "*.model", "*.txt", "README.md"]


def load_checkpoint(
    source: str | Path,
    precision: Precision | Literal["auto"] = "auto",
    device: str = "auto",
    merge: bool = True,
    serving: bool = False,
) -> Checkpoint:
    """Load a checkpoint, or a LoRA adapter with its checkpoint, from a folder or a hub id.

    ``merge``: adapters go into the weights where these are whole. ``serving``: nothing will be
    trained, so that 16 bits can be those of :mod:`llava_core.half` on a CPU. Raises
    :class:`CheckpointError` where it is not a LLaVA checkpoint in transformers format with
    safetensors weights, and :class:`MemoryShortage` where it does not fit.
    """
    loaded = _load(source, precision, device, merge, serving)
    if loaded.device.type == "cpu" and loaded.dtype == torch.float16:
        use_half_products(loaded.model)
    return loaded


def _load(
    source: str | Path,
    precision: Precision | Literal["auto"],
    device: str,
    merge: bool,
    serving: bool,
) -> Checkpoint:
    folder = folder_of(str(source))
    if is_adapter(folder):
        return adapt(_load(base_of(folder), precision, device, merge, serving), folder, merge)
    weights = inspect_weights(folder)
    try:
        on = pick_device(device)
    except (ValueError, RuntimeError) as error:
        raise CheckpointError(
            f"cannot use device {device!r}: {error}", "Use --device cpu."
        ) from error
    log.info("%s", memory_words(folder.name, weights.parameters, free_memory(on)))
    chosen = choose_precision(on, precision, weights.parameters * 4)
    model = _load_model(folder, chosen, on, serving)
    processor = load_processor(folder)
    about = _about(folder)
    renderer, template_name = renderer_of(processor, str(about.get("template") or "vicuna_v1"))
    return Checkpoint(
        model=model,
        processor=processor,
        tokenizer=processor.tokenizer,
        renderer=renderer,
        name=str(about.get("name") or folder.name),
        revision=revision_of(folder, weights),
        precision=chosen,
        device=on,
        context_length=int(model.config.get_text_config().max_position_embeddings),
        parameters=weights.parameters,
        sees=str(about.get("sees") or DEFAULT_SEES),
        suggestions=tuple(about.get("suggestions") or ()),
        template_name=template_name,
        card=read_card(folder),
    )


# --- what is in the folder ------------------------------------------------------------------------


def folder_of(source: str) -> Path:
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


def _about(folder: Path) -> dict[str, Any]:
    """Our optional studio.json: name, sees, suggestions, template."""
    path = folder / "studio.json"
    try:
        about = json.loads(path.read_text()) if path.is_file() else {}
    except ValueError as error:
        raise CheckpointError(
            f"{path} is not valid JSON: {error}", "Correct or remove it."
        ) from error
    if not isinstance(about, dict) or not isinstance(about.get("suggestions", []), list):
        raise CheckpointError(
            f"{path} is not an object whose suggestions are a list", "Correct or remove it."
        )
    return about


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

    ``auto``: on a GPU 16 bits, else 8, else 4; on a CPU 32 bits, else 16 where it multiplies
    bfloat16 in hardware, else 8, else 4. Raises :class:`MemoryShortage`, naming a precision that
    would fit.
    """
    free = free_memory(device) if free is None else free
    bfloat16 = native_bfloat16(device) if bfloat16 is None else bfloat16
    preferred = _preferred(device, bfloat16)
    others = [p for p in BYTES_PER_PARAMETER if p not in preferred]
    fitting = [p for p in (*preferred, *others) if memory_needed(p, bytes_32bit) <= free]
    if requested != "auto":
        if requested not in get_args(Precision):
            raise CheckpointError(
                f"there is no precision {requested!r}",
                f"Use one of {', '.join(get_args(Precision))}.",
            )
        if requested not in fitting:
            raise _shortage(requested, bytes_32bit, free, fitting)
        return requested
    for candidate in preferred:
        if candidate in fitting:
            return candidate
    raise _shortage(preferred[-1], bytes_32bit, free, fitting)


def _preferred(device: torch.device, bfloat16: bool) -> list[Precision]:
    if device.type == "cuda":
        return ["16bit", "8bit", "4bit"]
    if device.type == "mps":
        return ["16bit"]
    return ["32bit", "16bit", "8bit", "4bit"] if bfloat16 else ["32bit", "8bit", "4bit"]


def memory_words(name: str, parameters: int, free: int) -> str:
    """What a model takes in each precision, told before it is loaded; ``free`` in bytes."""
    sizes = (f"{memory_needed(p, parameters * 4) / 1e9:.1f} GB in {p}" for p in BYTES_PER_PARAMETER)
    return f"{name} takes about {', '.join(sizes)}; {free / 1e9:.1f} GB are free"


def memory_needed(precision: Precision, bytes_32bit: int) -> int:
    """About how many bytes a model takes at a precision, with room for one conversation."""
    return int(bytes_32bit / 4 * BYTES_PER_PARAMETER[precision]) + HEADROOM


def _shortage(
    wanted: Precision, bytes_32bit: int, free: int, fitting: list[Precision]
) -> MemoryShortage:
    needed = memory_needed(wanted, bytes_32bit)
    remedy = "Use a smaller checkpoint, or a machine with more memory."
    if fitting:
        less = memory_needed(fitting[0], bytes_32bit)
        remedy = f"Use --precision {fitting[0]}, which needs {less / 1e9:.1f} GB."
    return MemoryShortage(
        f"the model needs about {needed / 1e9:.1f} GB in {wanted}, "
        f"and {free / 1e9:.1f} GB are free",
        remedy,
    )


# --- model ----------------------------------------------------------------------------------------


def _load_model(
    folder: Path, precision: Precision, device: torch.device, serving: bool
) -> PreTrainedModel:
    kind: Any = AutoModelForImageTextToText
    try:
        model, report = kind.from_pretrained(
            folder,
            use_safetensors=True,
            output_loading_info=True,
            **_loading_options(precision, device, serving),
        )
    except (ValueError, KeyError, OSError, RuntimeError, ImportError) as error:
        raise CheckpointError(
            f"{folder.name} cannot be loaded as an image-text model: {error}",
            "Give a LLaVA checkpoint in transformers format.",
        ) from error
    if missing := sorted(report["missing_keys"]):
        raise CheckpointError(
            f"{folder.name} lacks {len(missing)} of the model's weights, such as {missing[0]}",
            "Copy or download the checkpoint again; without them it would answer at random.",
        )
    assert isinstance(model, PreTrainedModel)
    model.train(False)
    return model


def _loading_options(precision: Precision, device: torch.device, serving: bool) -> dict[str, Any]:
    on_cpu = device.type == "cpu"
    halves = not on_cpu or (serving and has_half_products())
    sixteen = torch.float16 if halves and not native_bfloat16(device) else torch.bfloat16
    # Of 8 bits the rest is in 16, as on a GPU: keys and values take half the memory to read.
    in_sixteen = not on_cpu or (serving and precision == "8bit" and native_bfloat16(device))
    whole = sixteen if in_sixteen else torch.float32
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
