"""How long threads that wait for each other should spin before they sleep: ``GOMP_SPINCOUNT``.

``OMP_NUM_THREADS=2 python benchmarks/spinning.py``: products and small operations in turns, as in a
decode step of eight people in 8 bits, alone and beside a process that keeps one processor busy.
Each measurement is a process of its own, the settings in turns, medians over all; the first is
libgomp's own, the last what ``app/launch.py`` sets.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
ROWS, LAYERS, STEPS = 8, 20, 20


def child() -> None:
    """Print the median milliseconds of a step."""
    import torch

    from llava_core.int8 import Int8Linear, packed

    shapes = [(1024, 3072), (1024, 1024), (1024, 5632)]
    layers = [
        packed(Int8Linear.quantise(torch.nn.Linear(*shape, bias=False)))
        for _ in range(LAYERS)
        for shape in shapes
    ]
    rows = torch.randn(ROWS, 1024)
    times = []
    with torch.inference_mode():
        for _ in range(STEPS + 3):
            begun = time.perf_counter()
            for layer in layers:
                layer(torch.nn.functional.silu(rows * 0.5))
            times.append(time.perf_counter() - begun)
    print(statistics.median(times[3:]) * 1e3)


@contextlib.contextmanager
def busy(wanted: bool) -> Iterator[None]:
    """Another process that computes meanwhile."""
    if not wanted:
        yield
        return
    other = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        other.kill()
        other.wait()


def main() -> None:
    from app.launch import SPINS

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child()
        return
    times: dict[tuple[str, bool], list[float]] = {}
    for _ in range(options.repeats):
        for beside in (False, True):
            for spins in ("300000", "10000", "3000", SPINS):
                with busy(beside):
                    told = subprocess.run(
                        [sys.executable, __file__, "--child"],
                        env={**os.environ, "GOMP_SPINCOUNT": spins},
                        stdout=subprocess.PIPE,
                        check=True,
                    ).stdout
                times.setdefault((spins, beside), []).append(float(told))
    print("| spins | a step alone, ms | beside a busy process, ms |\n|---|---|---|")
    for spins in dict.fromkeys(spins for spins, _ in times):
        alone, beside = (statistics.median(times[spins, each]) for each in (False, True))
        print(f"| {int(spins):,} | {alone:.1f} | {beside:.1f} |")


if __name__ == "__main__":
    main()
