"""``make tiny`` at its smallest: interrupted, started again, and ending with two checkpoints."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from training import checkpoint, tiny
from training.evaluation import Table
from training.plan import Plan
from training.questions import TYPES

ROOT = Path(__file__).resolve().parents[2]
DRIVER = """
import sys
from pathlib import Path
from training import tiny
from training.plan import Plan
folder, steps, *parts = sys.argv[1:]
plan = Plan(Path(folder), tower_pictures=64, pictures=48, further_pictures=24, held_out=8,
            questions_per_type=1, tower_steps=int(steps), language_steps=4, stage1_steps=3,
            stage2_steps=3, stage2b_steps=3, log_every=1,
            language_tokens=400, stage1_tokens=400, stage2_tokens=400, tower_batch=8)
for part in parts:
    getattr(tiny.Tiny(plan, plan.folder / "checkpoints"), part)()
"""


def start(folder: Path, steps: int, *parts: str) -> subprocess.Popen[str]:
    """Run parts of a very small recipe in a process of its own."""
    with (folder / "log").open("a") as output:
        return subprocess.Popen(
            [sys.executable, "-c", DRIVER, str(folder), str(steps), *parts],
            cwd=ROOT,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
        )


def log(folder: Path) -> str:
    return (folder / "log").read_text()


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_the_whole_recipe_survives_an_interruption(tmp_path: Path) -> None:
    first = start(tmp_path, 100_000, "draw", "tower")
    while "[tower] step 2 " not in (log(tmp_path) if (tmp_path / "log").exists() else ""):
        assert first.poll() is None, log(tmp_path)
        time.sleep(0.2)
    first.send_signal(signal.SIGINT)
    assert first.wait(60) != 0 and (tmp_path / "tower" / "state.pt").exists()
    assert not (tmp_path / "tower" / "done").exists()

    parts = [part for group in tiny.PARTS for part in group]
    second = start(tmp_path, 8, *parts, "finish")
    try:
        assert second.wait(300) == 0, log(tmp_path)
    finally:
        second.kill()
        second.wait()
    assert "[tower] continues at step" in log(tmp_path)

    results = json.loads((tmp_path / "checkpoints" / "results.json").read_text())
    assert set(results["stages"]) == {"1", "2"}
    for name in checkpoint.NAMES.values():
        folder = tmp_path / "checkpoints" / name
        assert (folder / "model.safetensors").exists() and "## Accuracy" in (
            folder / "README.md"
        ).read_text()


def test_the_table_has_a_row_for_every_type_and_the_mean() -> None:
    half = dict.fromkeys(TYPES, 0.5)
    table = Table(half, dict.fromkeys(TYPES, 0.1), dict.fromkeys(TYPES, 10))
    text = checkpoint.table_text({1: table, 2: table})
    assert len(text.splitlines()) == len(TYPES) + 3
    assert "| **mean over types** | **50.0** | **10.0** | **50.0** | **10.0** |" in text


def test_parts_run_in_an_order_that_works() -> None:
    order = [part for group in tiny.PARTS for part in group]
    assert order.index("draw") < order.index("tower") < order.index("features")
    assert order.index("features") < order.index("stage1") < order.index("stage2")
    assert all(hasattr(tiny.Tiny, part) for part in (*order, "finish"))


def test_the_full_recipe_takes_under_three_hours() -> None:
    plan = Plan(Path("unused"))
    beside = max(plan.tower_minutes, plan.language_minutes)
    assert beside + plan.stage1_minutes + plan.stage2_minutes < 150
