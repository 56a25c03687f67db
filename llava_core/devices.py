"""What the machine can do: device, free memory, and whether 16-bit arithmetic is native."""

from __future__ import annotations

import psutil
import torch


def pick_device(requested: str = "auto") -> torch.device:
    """The device to use: ``auto`` prefers CUDA, then Apple's MPS, then the CPU.

    Raises ``ValueError`` where the requested device is not there.
    """
    if requested == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    device = torch.device(requested)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ValueError(
            f"there is no device {requested!r}; found {torch.cuda.device_count()} GPUs"
        )
    return device


def native_bfloat16(device: torch.device) -> bool:
    """Whether the device multiplies bfloat16 matrices in hardware.

    A processor without such instructions is 4 to 250 times slower in 16 bits than in 32.
    """
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "cpu":
        capabilities = torch.cpu.get_capabilities()
        return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
    return False


def free_memory(device: torch.device) -> int:
    """Bytes that are free for weights on the device."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return int(psutil.virtual_memory().available)


def is_out_of_memory(error: Exception) -> bool:
    """Whether the device or the machine had no room; torch has no type of its own for the CPU."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and "can't allocate memory" in str(error)
