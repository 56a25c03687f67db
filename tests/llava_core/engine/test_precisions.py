"""Weights of 16, 8 and 4 bits: the engine computes what the loaded model itself does."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from llava_core.devices import native_bfloat16
from llava_core.engine.building import Memory
from llava_core.engine.engine import Engine
from llava_core.engine.sampling import SamplingParams
from llava_core.engine.scheduler import Limits, Plan
from llava_core.loading import load_checkpoint
from llava_core.model import Checkpoint, Precision
from tests.llava_core.engine.engines import TALKS, Told, run_out
from tests.tiny_checkpoint import make_tiny_checkpoint

ERRORS: dict[Precision, float] = {"32bit": 1e-4, "16bit": 0.03, "8bit": 0.06, "4bit": 1e-3}
"""Relative to the logits; 8 bits round the inputs of each product in another place."""
TALK = TALKS[3]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_checkpoint(tmp_path_factory.mktemp("precisions") / "tiny", language="mistral")


def own_logits(checkpoint: Checkpoint) -> Tensor:
    """For the first token of the answer."""
    inputs = checkpoint.prepare(TALK)
    with torch.inference_mode():
        logits: Tensor = checkpoint.model(input_ids=inputs.input_ids, **inputs.pictures).logits
    return logits[0, -1].float()


def first_logits(checkpoint: Checkpoint, rows: int) -> Tensor:
    """The engine's, with the prompt in chunks of so many rows. It takes the weights over."""
    engine = Engine(checkpoint, Limits(8, rows, rows), Memory(1 << 24, 1 << 20))
    compute, found = engine._runner.run, list[Tensor]()

    def run(plan: Plan) -> Tensor:
        logits = compute(plan)
        found.extend(logits.float().clone())
        return logits

    engine._runner.run = run  # type: ignore[method-assign]
    told = Told()
    engine.submit(TALK, SamplingParams(max_tokens=4), told)
    run_out(engine)
    assert told.error is None and len(told.tokens) == len(found) == 4
    assert told.tokens[0] == int(found[0].argmax())
    return found[0]


@pytest.mark.parametrize("rows", [7, 512])
@pytest.mark.parametrize("precision", ERRORS)
def test_logits_are_those_of_the_loaded_model(
    folder: Path, precision: Precision, rows: int
) -> None:
    theirs = own_logits(load_checkpoint(folder, precision, "cpu"))
    ours = first_logits(load_checkpoint(folder, precision, "cpu"), rows)
    assert float((ours - theirs).norm() / theirs.norm()) < ERRORS[precision]


def test_eight_bits_are_close_to_the_whole_weights(folder: Path) -> None:
    """Closer than the sum of what both computations of 8 bits may be apart from each other."""
    theirs = own_logits(load_checkpoint(folder, "32bit", "cpu"))
    ours = first_logits(load_checkpoint(folder, "8bit", "cpu"), 512)
    assert 0 < float((ours - theirs).norm() / theirs.norm()) < 0.1


@pytest.mark.parametrize("native", [True, False])
def test_served_in_eight_bits_the_rest_is_in_sixteen_where_the_processor_multiplies_those(
    folder: Path, native: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if native and not native_bfloat16(torch.device("cpu")):
        pytest.skip("this processor multiplies no bfloat16")
    monkeypatch.setattr("llava_core.loading.native_bfloat16", lambda device: native)
    theirs = own_logits(load_checkpoint(folder, "32bit", "cpu"))
    served = load_checkpoint(folder, "8bit", "cpu", serving=True)
    assert served.dtype == (torch.bfloat16 if native else torch.float32)
    ours = first_logits(served, 512)
    assert 0 < float((ours - theirs).norm() / theirs.norm()) < 0.1
