"""Answers of the engine against those of transformers and llama.cpp: one person and eight.

``python -m benchmarks.engine`` makes a LLaVA of 0.33 billion random parameters and asks ours, over
HTTP, and each peer the same questions: a picture of one's own and 64 words in, 64 tokens out. Each
peer is started in a process of its own, in turns, with the same number of threads; medians over
``--repeats``. ``generate`` is measured without HTTP, in its favour. llama.cpp takes part where
``--build-llama`` has built it. Tables, plot and raw figures come into ``runs/bench-engine``.
"""

from __future__ import annotations

import argparse
import os
import platform
import signal
import sys
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil

from benchmarks import engine_llama
from benchmarks.engine_model import make_checkpoint
from benchmarks.engine_peers import ROOT, SIDES, Setting, Side, run_apart, run_side, why_not
from benchmarks.engine_report import IDLE, SCENARIOS, Results, wanted, write
from benchmarks.engine_requests import Samples


def machine(setting: Setting, repeats: int) -> dict[str, Any]:
    """What the figures belong to."""
    cpu = platform.processor() or platform.machine()
    if (info := Path("/proc/cpuinfo")).exists():
        names = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        cpu = names[0].partition(":")[2].strip() if names else cpu
    return {
        "cpu": cpu,
        "cores": os.cpu_count(),
        "threads": setting.threads,
        "tokens": setting.tokens,
        "repeats": repeats,
        "versions": {name: version(name) for name in ("torch", "transformers")}
        | {"llama.cpp": f"of {engine_llama.PACKAGE}"},
    }


def wait_for_rest(patience: float) -> float:
    """Wait so many seconds at most until other work rests; returns the share that it takes."""
    deadline = time.monotonic() + patience
    while True:
        share = float(psutil.cpu_percent(1.0)) / 100
        if share <= IDLE or time.monotonic() > deadline:
            return share
        time.sleep(2.0)


def run(
    setting: Setting,
    only: Sequence[str],
    peers: Sequence[str],
    repeats: int,
    patience: float = 0.0,
) -> Results:
    """All sides in turns, as often as said; what was measured so far after Ctrl-C."""
    results = Results(machine(setting, repeats))
    needed = wanted(only)
    sides = [side for side in SIDES if side.key in needed and side.family in peers]
    for side in list(sides):
        if reason := why_not(side, setting):
            sides.remove(side)
            _leave_out(results, side, reason)
    try:
        for repeat in range(repeats):
            if "bandwidth" in only:
                results.bandwidth.append(run_apart(["bandwidth"], setting))
            for side in sides:
                if side.key not in results.left_out:
                    where = f"[{repeat + 1}/{repeats}]"
                    _one(results, setting, side, needed[side.key], repeat, where, patience)
    except KeyboardInterrupt:
        print("stopped; what was measured so far:", flush=True)
        results.machine["complete"] = False
    return results


def _one(
    results: Results,
    setting: Setting,
    side: Side,
    kinds: Sequence[str],
    repeat: int,
    where: str,
    patience: float,
) -> None:
    results.others.append(wait_for_rest(patience))
    started = time.monotonic()
    print(f"{where} {side.name}, {side.weights}: ", end="", flush=True)
    try:
        found = run_side(side, setting, kinds, repeat)
    except Exception as error:
        print("failed", flush=True)
        _leave_out(results, side, f"{type(error).__name__}: {error}")
        return
    results.add(side, found)
    print(f"{_short(found)} ({time.monotonic() - started:.0f} s)", flush=True)


def _leave_out(results: Results, side: Side, reason: str) -> None:
    results.left_out[side.key] = reason
    print(f"left out: {side.name}, {side.weights}: {reason}", flush=True)


def _short(found: Samples) -> str:
    words = {
        "one": lambda each: f"{each['per_second']:.1f} tokens/s",
        "eight": lambda each: f"{each['per_second']:.1f} tokens/s",
        "second-turn": lambda each: f"{each['turn 1']:.2f} s, then {each['turn 2']:.2f} s",
    }
    return "; ".join(f"{kind} {words[kind](entries[-1])}" for kind, entries in found.items())


def main() -> None:
    """Command line."""
    families = list(dict.fromkeys(side.family for side in SIDES))
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--tokens", type=int, default=64, help="length of an answer")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--quick", action="store_true", help="16 tokens, one repeat")
    parser.add_argument("--only", choices=list(SCENARIOS), action="append", help="repeatable")
    parser.add_argument("--peers", default=",".join(families), help="of %(default)s")
    parser.add_argument(
        "--patience", type=float, default=0.0, help="seconds to wait for other work to rest"
    )
    parser.add_argument("--folder", type=Path, default=ROOT / "runs" / "bench-engine")
    parser.add_argument("--build-llama", action="store_true", help="only build llama.cpp's server")
    given = parser.parse_args()
    peers = given.peers.split(",")
    if unknown := set(peers) - set(families):
        parser.error(f"no such peer: {', '.join(sorted(unknown))}; choose of {', '.join(families)}")
    tokens, repeats = (16, 1) if given.quick else (given.tokens, given.repeats)
    setting = Setting(given.folder.resolve(), given.threads, tokens)
    if given.build_llama:
        print(engine_llama.build(setting.llama))
        return
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    if (share := wait_for_rest(0.0)) > IDLE:
        print(f"other work takes {100 * share:.0f}% of the processor: the figures will be noisy")
    print(f"the model: {make_checkpoint(setting.model)}", flush=True)
    only = given.only or list(SCENARIOS)
    results = run(setting, only, peers, repeats, given.patience)
    print("\n" + write(results, only, setting.folder))
    print(f"figures and plot: {setting.folder}/results.json, table.md, plot.svg")
    sys.exit(0 if results.machine.get("complete", True) else 130)


if __name__ == "__main__":
    main()
