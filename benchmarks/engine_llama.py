"""llama.cpp as a peer: building its server, and our checkpoint in its file format.

The sources come with the source package of llama-cpp-python on PyPI, and with them the Python
package that writes GGUF files; both stay in the benchmark's folder.
"""

from __future__ import annotations

import importlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.engine_model import SMALL, SPECIAL, vocabulary

PACKAGE = "llama-cpp-python==0.3.36"
OPTIONS = (
    "-DCMAKE_BUILD_TYPE=Release",
    "-DGGML_NATIVE=ON",
    "-DBUILD_SHARED_LIBS=OFF",
    "-DLLAMA_BUILD_TESTS=OFF",
    "-DLLAMA_BUILD_EXAMPLES=OFF",
    "-DLLAMA_BUILD_APP=OFF",
    "-DLLAMA_BUILD_UI=OFF",
    "-DLLAMA_USE_PREBUILT_UI=OFF",
    "-DLLAMA_OPENSSL=OFF",
)
LANGUAGE_NAMES = {
    "model.language_model.embed_tokens": "token_embd",
    "model.language_model.norm": "output_norm",
    "lm_head": "output",
}
LAYER_NAMES = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
TOWER_NAMES = {
    "embeddings.class_embedding": "v.class_embd",
    "embeddings.patch_embedding.weight": "v.patch_embd.weight",
    "embeddings.position_embedding.weight": "v.position_embd.weight",
    "pre_layrnorm.weight": "v.pre_ln.weight",
    "pre_layrnorm.bias": "v.pre_ln.bias",
}
TOWER_LAYER_NAMES = {
    "layer_norm1": "ln1",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.out_proj": "attn_out",
    "layer_norm2": "ln2",
    "mlp.fc1": "ffn_up",
    "mlp.fc2": "ffn_down",
}
PROJECTOR_NAMES = {"linear_1": "mm.0", "linear_2": "mm.2"}


def server(folder: Path) -> Path:
    """Where :func:`build` puts the server; LLAMA_SERVER names another one."""
    named = os.environ.get("LLAMA_SERVER")
    return Path(named) if named else folder / "build" / "bin" / "llama-server"


def build(folder: Path) -> Path:
    """Download the sources from PyPI and compile the server; takes a quarter of an hour or more."""
    source, target = folder / "source", server(folder)
    if not source.exists():
        folder.mkdir(parents=True, exist_ok=True)
        pip = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-binary", ":all:"]
        _run([*pip, "--dest", str(folder), PACKAGE])
        archive = next(folder.glob("llama_cpp_python-*.tar.gz"))
        with tarfile.open(archive) as packed:
            packed.extractall(folder / "unpacked", filter="data")
        found = next((folder / "unpacked").glob("*/vendor/llama.cpp"))
        found.rename(source)
        shutil.rmtree(folder / "unpacked")
    built = str(folder / "build")
    _run(["cmake", "-S", str(source), "-B", built, *OPTIONS])
    jobs = str(os.cpu_count() or 1)
    _run(["nice", "cmake", "--build", built, "-j", jobs, "--target", "llama-server"])
    return target


def _run(command: list[str]) -> None:
    print("$", " ".join(command), flush=True)
    subprocess.run(command, check=True)


def convert(checkpoint: Path, folder: Path, kind: str) -> tuple[Path, Path]:
    """The checkpoint as two files: the language model as F32, F16 or Q8_0, and the picture part.

    The picture part stays in 32 bits with the language model, and has 16 bits otherwise.
    """
    files = folder / f"language-{kind}.gguf", folder / f"pictures-{_tower_kind(kind)}.gguf"
    if newest(checkpoint) > min(newest(file) for file in files):
        gguf = _gguf(folder.parent / "llama.cpp" / "source" / "gguf-py")
        import torch
        from transformers import LlavaForConditionalGeneration

        folder.mkdir(parents=True, exist_ok=True)
        model = LlavaForConditionalGeneration.from_pretrained(checkpoint, dtype=torch.float32)
        weights = {name: value.numpy() for name, value in model.state_dict().items()}
        parts = [file.with_suffix(".part") for file in files]
        _write_language(gguf, model.config.text_config, weights, parts[0], kind)
        _write_pictures(gguf, model.config, weights, parts[1], _tower_kind(kind))
        for part, file in zip(parts, files, strict=True):
            part.rename(file)
    return files


def newest(path: Path) -> float:
    """When a file, or the last file of a folder, was written; 0 where there is none."""
    files = list(path.iterdir()) if path.is_dir() else [path] if path.exists() else []
    return max((file.stat().st_mtime for file in files), default=0.0)


def _gguf(folder: Path) -> Any:
    """The package that writes GGUF files, from llama.cpp's sources where it is not installed."""
    sys.path.append(str(folder))
    return importlib.import_module("gguf")


def _tower_kind(kind: str) -> str:
    return "F32" if kind == "F32" else "F16"


def _write_language(gguf: Any, config: Any, weights: dict[str, Any], file: Path, kind: str) -> None:
    writer = gguf.GGUFWriter(str(file), "llama")
    head = config.hidden_size // config.num_attention_heads
    writer.add_vocab_size(config.vocab_size)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_dimension_count(head)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    _add_tokenizer(gguf, writer)
    for name, value in _language_tensors(weights, config.num_attention_heads):
        _add(gguf, writer, name, value, kind)
    _finish(writer)


def _add_tokenizer(gguf: Any, writer: Any) -> None:
    tokens, merges = vocabulary(SMALL.vocabulary)
    control, normal = int(gguf.TokenType.CONTROL), int(gguf.TokenType.NORMAL)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types([control if token in SPECIAL else normal for token in tokens])
    writer.add_token_merges([" ".join(merge) for merge in merges])
    writer.add_pad_token_id(0)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_add_bos_token(False)


def _language_tensors(weights: dict[str, Any], heads: int) -> Iterator[tuple[str, Any]]:
    for name, value in weights.items():
        stem = name.removesuffix(".weight")
        if stem in LANGUAGE_NAMES:
            yield f"{LANGUAGE_NAMES[stem]}.weight", value
        if found := re.fullmatch(r"model\.language_model\.layers\.(\d+)\.(.+)\.weight", name):
            part = LAYER_NAMES[found[2]]
            value = _interleaved(value, heads) if part in ("attn_q", "attn_k") else value
            yield f"blk.{found[1]}.{part}.weight", value


def _interleaved(weight: Any, heads: int) -> Any:
    """Rows of queries and keys in the order in which llama.cpp rotates them: pair by pair."""
    rows, width = weight.shape
    return weight.reshape(heads, 2, rows // heads // 2, width).swapaxes(1, 2).reshape(rows, width)


def _write_pictures(gguf: Any, config: Any, weights: dict[str, Any], file: Path, kind: str) -> None:
    tower = config.vision_config
    writer = gguf.GGUFWriter(str(file), "clip")
    writer.add_clip_has_vision_encoder(True)
    writer.add_clip_projector_type("mlp")
    writer.add_vision_projection_dim(config.text_config.hidden_size)
    writer.add_vision_image_size(tower.image_size)
    writer.add_vision_patch_size(tower.patch_size)
    writer.add_vision_embedding_length(tower.hidden_size)
    writer.add_vision_feed_forward_length(tower.intermediate_size)
    writer.add_vision_block_count(tower.num_hidden_layers)
    writer.add_vision_head_count(tower.num_attention_heads)
    writer.add_vision_attention_layernorm_eps(tower.layer_norm_eps)
    writer.add_vision_image_mean([0.48145466, 0.4578275, 0.40821073])
    writer.add_vision_image_std([0.26862954, 0.26130258, 0.27577711])
    for name, value in _picture_tensors(weights):
        _add(gguf, writer, name, value, kind)
    _finish(writer)


def _picture_tensors(weights: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in weights.items():
        if found := re.search(r"vision_tower\.(?:vision_model\.)?(.+)", name):
            if own := TOWER_NAMES.get(found[1]):
                yield own, value
            if layer := re.fullmatch(r"encoder\.layers\.(\d+)\.(.+)\.(weight|bias)", found[1]):
                yield f"v.blk.{layer[1]}.{TOWER_LAYER_NAMES[layer[2]]}.{layer[3]}", value
        elif found := re.search(r"multi_modal_projector\.(\w+)\.(weight|bias)", name):
            yield f"{PROJECTOR_NAMES[found[1]]}.{found[2]}", value


def _add(gguf: Any, writer: Any, name: str, value: Any, kind: str) -> None:
    """One tensor; what has one dimension, and positions, stay in 32 bits."""
    kept = value.ndim < 2 or "position" in name
    quantised = gguf.GGMLQuantizationType[("F32" if kept else kind)]
    if quantised == gguf.GGMLQuantizationType.Q8_0:
        writer.add_tensor(name, gguf.quants.quantize(value, quantised), raw_dtype=quantised)
    else:
        writer.add_tensor(name, value.astype("float32" if quantised.name == "F32" else "float16"))


def _finish(writer: Any) -> None:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
