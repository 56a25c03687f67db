"""Time of one linear layer with few rows and many, in our layouts of 32, 16 and 8 bits.

``OMP_NUM_THREADS=2 python benchmarks/int8_linear.py``: many layers of the same shape in turns, so
that weights come from memory as in a decode step; the sides in turns, medians of rounds. Peers are
PyTorch's own linear layer and its own 8-bit layer, whose inputs have one scale for the whole batch
and 7 bits where the processor has no VNNI instructions. A layout whose sums overflow on this
processor is marked: it is measured, and never used there.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

Layer = Callable[[Tensor], Tensor]


def sides(layers: list[nn.Linear]) -> dict[str, list[Layer]]:
    """The same layers in every way of computing them."""
    from llava_core.engine.linear import GroupedLinear, PackedLinear
    from llava_core.half import HalfLinear
    from llava_core.int8 import (
        CappedInt8,
        HalvedInt8,
        Int8Linear,
        PackedInt8,
        excess_of,
        overflows,
    )

    eight = [Int8Linear.quantise(layer) for layer in layers]
    wrong = " (overflows here)" if overflows() else ""
    found: dict[str, list[Layer]] = {
        "PyTorch, 32 bits": list(layers),
        "oneDNN, 32 bits": [PackedLinear(layer.weight.detach(), None) for layer in layers],
        "in groups, 32 bits": [GroupedLinear(layer.weight.detach(), None) for layer in layers],
        "FBGEMM, 16 bits": [HalfLinear.of(layer) for layer in layers],
        f"oneDNN, 8 bits{wrong}": [PackedInt8(layer) for layer in eight],
        "FBGEMM in halves, 8 bits": [HalvedInt8(layer) for layer in eight],
        "FBGEMM with capped weights, 8 bits": [
            CappedInt8(layer, excess_of(layer.weight)) for layer in eight
        ],
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dynamic = torch.ao.quantization.quantize_dynamic(nn.ModuleList(layers), {nn.Linear})
    found["PyTorch's dynamic 8 bits"] = list(dynamic)
    return found


def seconds(layers: list[Layer], rows: Tensor) -> float:
    """For one product."""
    begun = time.perf_counter()
    for layer in layers:
        layer(rows)
    return (time.perf_counter() - begun) / len(layers)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=1024)
    parser.add_argument("--outputs", type=int, default=3072)
    parser.add_argument("--layers", type=int, default=24)
    parser.add_argument("--rounds", type=int, default=30)
    options = parser.parse_args()
    layers = [nn.Linear(options.inputs, options.outputs, bias=False) for _ in range(options.layers)]
    for layer in layers:
        nn.init.normal_(layer.weight)  # As wide as a language model's own beginning.
    made = sides(layers)
    print(f"threads: {torch.get_num_threads()}, {options.inputs} x {options.outputs}")
    with torch.inference_mode():
        for number in (1, 2, 8, 64, 256):
            rows = torch.randn(number, options.inputs)
            times: dict[str, list[float]] = {name: [] for name in made}
            for _ in range(options.rounds + 2):
                for name, layers in made.items():
                    times[name].append(seconds(layers, rows))
            medians = {name: statistics.median(each[2:]) for name, each in times.items()}
            whole = medians["PyTorch, 32 bits"]
            for name, median in medians.items():
                print(f"{number:4} rows  {name:36} {median * 1e6:8.0f} us  {whole / median:5.1f}x")


if __name__ == "__main__":
    main()
