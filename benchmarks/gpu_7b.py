"""LLaVA-1.5-7B's shape with random weights on a GPU: ours against ``generate`` in the same run.

``python -m benchmarks.gpu_7b`` makes the checkpoint once (14 GB on the disk; speed does not depend
on what weights say), and for 16 and 4 bits measures memory, time to the first token, one person's
tokens per second against what the memory's bandwidth allows, and 32 people at once. Neither side
goes over HTTP. ``generate`` runs in a thread for each person over shared weights, as in LLaVA's own
worker. ``--tiny`` tries the script out on a small model, on any machine; its figures say nothing.
"""

from __future__ import annotations

import argparse
import gc
import io
import itertools
import json
import shutil
import statistics
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from PIL import Image

from benchmarks.engine_model import SEVEN_BILLION, TINY, Shape, make_checkpoint
from benchmarks.engine_requests import question
from llava_core.conversation import Conversation, user
from llava_core.devices import free_memory
from llava_core.engine.answer import Piece
from llava_core.engine.decoder import language_model_of
from llava_core.engine.engine import Engine
from llava_core.engine.sampling import SamplingParams
from llava_core.errors import CoreError
from llava_core.loading import load_checkpoint
from llava_core.model import Checkpoint, Precision

ROOT = Path(__file__).resolve().parent.parent
PRECISIONS: tuple[Precision, ...] = ("16bit", "4bit")
NO_GPU = "There is no GPU here that PyTorch can use: nothing was measured. --tiny tries the script."
ALONE_REPEATS = 3


@dataclass(frozen=True)
class Timing:
    """Seconds from the question to the first token and to the last; ``tokens`` that came."""

    first: float
    total: float
    tokens: int

    @property
    def per_second(self) -> float:
        """Tokens per second after the first."""
        return (self.tokens - 1) / max(self.total - self.first, 1e-9)


@dataclass(frozen=True)
class Figures:
    """What was measured of one side in one precision; bytes, seconds, tokens per second.

    ``read``: bytes of weights that a decode step reads. ``peak``: most bytes in use, of which
    ``cache`` are reserved for conversations; 0 where the device does not tell.
    """

    side: str
    precision: str
    weights: int
    read: int
    cache: int
    peak: int
    first: float
    alone: float
    together: float


class Asked(Protocol):
    """Answers a question with so many tokens; may be called from many threads."""

    def __call__(self, conversation: Conversation, tokens: int) -> Timing: ...


# --- the two sides --------------------------------------------------------------------------------


class Ours:
    """The engine, stepped by a thread of its own as in the worker."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.engine = Engine(checkpoint)
        self._thread = threading.Thread(target=self.engine.run, daemon=True)
        self._thread.start()

    def __call__(self, conversation: Conversation, tokens: int) -> Timing:
        """See :class:`Asked`."""
        times: list[float] = []
        ended = threading.Event()
        failed: list[CoreError] = []

        def emit(item: Piece | CoreError) -> None:
            if isinstance(item, CoreError):
                failed.append(item)
            times.append(time.perf_counter())
            if isinstance(item, CoreError) or item.finish_reason:
                ended.set()

        started = time.perf_counter()
        self.engine.submit(conversation, SamplingParams(max_tokens=tokens), emit)
        ended.wait()
        if failed:
            raise failed[0]
        return Timing(times[0] - started, times[-1] - started, len(times))

    def close(self) -> None:
        """End the thread."""
        self.engine.close()
        self._thread.join()


class _Clock:
    """A streamer that only looks at the clock; the prompt comes first."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def put(self, value: Any) -> None:
        """The prompt, and then each token."""
        self.times.append(time.perf_counter())

    def end(self) -> None:
        """Nothing is left to do."""


class Generate:
    """transformers' ``generate`` with the model as it was loaded."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._checkpoint = checkpoint

    def __call__(self, conversation: Conversation, tokens: int) -> Timing:
        """See :class:`Asked`."""
        clock, model = _Clock(), self._checkpoint.model
        generate: Any = model.generate
        started = time.perf_counter()
        inputs = self._checkpoint.prepare(conversation)
        with torch.inference_mode():
            generate(
                input_ids=inputs.input_ids,
                attention_mask=torch.ones_like(inputs.input_ids),
                **inputs.pictures,
                max_new_tokens=tokens,
                min_new_tokens=tokens,
                do_sample=False,
                streamer=clock,
            )
        came = clock.times[1:]
        return Timing(came[0] - started, came[-1] - started, len(came))

    def close(self) -> None:
        """Nothing is running."""


# --- measuring ------------------------------------------------------------------------------------


def talk(number: int) -> Conversation:
    """A picture of one's own and 64 words."""
    asked = question(number)
    assert asked.picture
    picture = Image.open(io.BytesIO(asked.picture)).convert("RGB")
    return Conversation((user(asked.words, picture),))


def together(ask: Asked, talks: Sequence[Conversation], tokens: int) -> float:
    """Tokens per second of all, who ask at the same moment; raises what any of them raises."""
    timings: list[Timing | Exception] = []

    def person(conversation: Conversation) -> None:
        try:
            timings.append(ask(conversation, tokens))
        except Exception as error:
            timings.append(error)

    threads = [threading.Thread(target=person, args=[each], daemon=True) for each in talks]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - started
    for timing in timings:
        if isinstance(timing, Exception):
            raise timing
    return sum(timing.tokens for timing in timings if isinstance(timing, Timing)) / seconds


def bytes_read(checkpoint: Checkpoint) -> int:
    """Bytes of weights that a step for one token reads: the layers and the head, as they are."""
    language: Any = language_model_of(checkpoint.model)
    head: Any = checkpoint.model.get_output_embeddings()  # type: ignore[no-untyped-call]
    parts = [*language.layers.parameters(), *language.norm.parameters(), *head.parameters()]
    return sum(_bytes(each) for each in parts)


def _bytes(weight: Any) -> int:
    """Of a 4-bit weight, the scales too, which are rounded to 8 bits themselves."""
    state = getattr(weight, "quant_state", None)
    scales = (
        [] if state is None else [state.absmax, *([state.state2.absmax] if state.state2 else [])]
    )
    return int(weight.nbytes) + sum(int(each.nbytes) for each in scales)


def bandwidth(device: torch.device, megabytes: int) -> float:
    """Bytes per second that the device copies, reads and writes counted: the best of several."""
    source = torch.ones(megabytes * 250_000, device=device)
    target = torch.empty_like(source)
    best = float("inf")
    for _ in range(10):
        _settle(device)
        started = time.perf_counter()
        target.copy_(source)
        _settle(device)
        best = min(best, time.perf_counter() - started)
    return 2 * source.nbytes / best


def _settle(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def measure(
    side: str, folder: Path, precision: Precision, device: torch.device, people: int, tokens: int
) -> Figures:
    """One side in one precision, loaded anew; the first answers do not count."""
    checkpoint = load_checkpoint(folder, precision, str(device))
    weights: int = checkpoint.model.get_memory_footprint()  # type: ignore[no-untyped-call]
    read = bytes_read(checkpoint)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    ask: Ours | Generate = Ours(checkpoint) if side == "ours" else Generate(checkpoint)
    numbers = itertools.count()
    try:
        # One person first: bitsandbytes lays weights out anew at their first product on some CPUs.
        ask(talk(next(numbers)), 3)
        together(ask, [talk(next(numbers)) for _ in range(people)], 3)
        ask(talk(next(numbers)), tokens)
        alone = [ask(talk(next(numbers)), tokens) for _ in range(ALONE_REPEATS)]
        total = together(ask, [talk(next(numbers)) for _ in range(people)], tokens)
    finally:
        ask.close()
    return Figures(
        side=side,
        precision=precision,
        weights=weights,
        read=read,
        cache=ask.engine.cache_bytes if isinstance(ask, Ours) else 0,
        peak=torch.cuda.max_memory_allocated(device) if device.type == "cuda" else 0,
        first=statistics.median(each.first for each in alone),
        alone=statistics.median(each.per_second for each in alone),
        together=total,
    )


# --- telling --------------------------------------------------------------------------------------


def table(found: Sequence[Figures], speed: float, people: int) -> str:
    """The figures as Markdown; ``speed`` is the memory's, in bytes a second."""
    header = ["", "precision", "weights, GB", "peak with cache, GB", "cache, GB"]
    header += ["s to the first token", "tokens/s, one person", "of bandwidth / bytes"]
    header += [f"tokens/s, {people} people", "ours to it"]
    lines = [header, ["---"] * len(header)]
    ours = {each.precision: each for each in found if each.side == "ours"}
    for each in found:
        ratio = (
            "" if each.side == "ours" else f"{ours[each.precision].together / each.together:.1f}x"
        )
        sizes = [f"{size / 1e9:.1f}" for size in (each.weights, each.peak, each.cache)]
        share = f"{100 * each.alone * each.read / speed:.0f}%"
        speeds = [f"{each.first:.3f}", f"{each.alone:.1f}", share, f"{each.together:.0f}"]
        lines.append([each.side, each.precision, *sizes, *speeds, ratio])
    rows = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return (
        f"{rows}\n\nThe device copies {speed / 1e9:,.0f} GB a second, reads and writes counted.\n"
    )


def run(
    folder: Path,
    shape: Shape,
    device: torch.device,
    people: int,
    tokens: int,
    say: Callable[[str], None],
) -> tuple[list[Figures], float]:
    """All sides and precisions, one after the other, and the memory's bytes per second."""
    speed = bandwidth(device, 1024 if device.type == "cuda" else 16)
    say(f"the model: {make_checkpoint(folder, shape, _maker(device, shape))}")
    found = []
    for precision in PRECISIONS:
        for side in ("ours", "generate"):
            found.append(measure(side, folder, precision, device, people, tokens))
            gc.collect()
            if device.type == "cuda":
                torch.cuda.empty_cache()
            say(
                f"{side}, {precision}: {found[-1].alone:.1f} tokens/s alone, "
                f"{found[-1].together:.0f} with {people} people"
            )
    return found, speed


def _maker(device: torch.device, shape: Shape) -> str:
    """Where the weights are drawn: on the device, where two copies of them fit."""
    fits = free_memory(device) > 5 * shape.parameters_per_step
    return str(device) if fits else "cpu"


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tiny", action="store_true", help="a small model, on any machine")
    parser.add_argument("--people", type=int, default=32)
    parser.add_argument("--tokens", type=int, default=128, help="length of an answer")
    parser.add_argument("--folder", type=Path, default=ROOT / "runs" / "bench-gpu")
    given = parser.parse_args(arguments)
    there = torch.cuda.is_available()
    if not there and not given.tiny:
        print(NO_GPU)
        return 1
    device = torch.device("cuda:0" if there else "cpu")
    shape = TINY if given.tiny else SEVEN_BILLION
    folder: Path = given.folder / ("tiny" if given.tiny else "llava-7b")
    given.folder.mkdir(parents=True, exist_ok=True)
    needed = 2.3 * shape.parameters_per_step
    if not folder.exists() and (free := shutil.disk_usage(given.folder).free) < needed:
        print(
            f"The checkpoint takes {needed / 1e9:.0f} GB, {free / 1e9:.0f} GB are free there: "
            "name another --folder."
        )
        return 1
    name = torch.cuda.get_device_name(0) if there else "a CPU: these figures say nothing about GPUs"
    print(f"on {name}", flush=True)
    found, speed = run(
        folder, shape, device, given.people, given.tokens, lambda t: print(t, flush=True)
    )
    text = table(found, speed, given.people)
    print("\n" + text)
    raw = {"device": name, "bandwidth": speed, "figures": [asdict(each) for each in found]}
    (given.folder / "results.json").write_text(json.dumps(raw, indent=1) + "\n")
    (given.folder / "table.md").write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
