"""transformers' ``generate`` as a peer, and how fast this machine reads memory."""

from __future__ import annotations

import io
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from benchmarks.engine_requests import Timing, Turn, Watch


class _Clock:
    """A streamer that only looks at the clock."""

    def __init__(self, watch: Watch | None) -> None:
        self.watch = watch
        self.first = 0.0
        self._prompt_seen = False

    def put(self, value: Any) -> None:
        """The prompt, and then each token."""
        if self._prompt_seen and not self.first:
            self.first = time.perf_counter()
            if self.watch:
                self.watch.first()
        self._prompt_seen = True

    def end(self) -> None:
        """Nothing is left to do."""


class GeneratePeer:
    """The model and its processor as the model card of any LLaVA loads them.

    Asked by several threads at once, they share the weights and compute beside each other, as in
    LLaVA's own model worker.
    """

    def __init__(self, folder: Path, threads: int) -> None:
        from transformers import AutoModelForImageTextToText, AutoProcessor

        torch.set_num_threads(threads)
        load: Any = AutoModelForImageTextToText.from_pretrained
        self.model: Any = load(folder, dtype=torch.float32).eval()
        load_processor: Any = AutoProcessor.from_pretrained
        self.processor: Any = load_processor(folder)

    def ask(self, turns: Sequence[Turn], tokens: int, watch: Watch | None = None) -> Timing:
        """See :class:`benchmarks.engine_requests.Peer`."""
        clock = _Clock(watch)
        started = time.perf_counter()
        messages, pictures = self._messages(turns)
        text = self.processor.apply_chat_template(messages, add_generation_prompt=True)
        inputs = self.processor(images=pictures or None, text=text, return_tensors="pt")
        with torch.inference_mode():
            ids = self.model.generate(
                **inputs,
                max_new_tokens=tokens,
                min_new_tokens=tokens,
                do_sample=False,
                streamer=clock,
            )
        answer = ids[0, inputs["input_ids"].shape[1] :]
        said = self.processor.decode(answer, skip_special_tokens=True)
        total = time.perf_counter() - started
        if watch:
            watch.done()
        return Timing(clock.first - started, total, len(answer), said.strip())

    def _messages(self, turns: Sequence[Turn]) -> tuple[list[dict[str, Any]], list[Image.Image]]:
        messages: list[dict[str, Any]] = []
        pictures = []
        for turn in turns:
            parts: list[dict[str, Any]] = [{"type": "text", "text": turn.question.words}]
            if turn.question.picture:
                pictures.append(Image.open(io.BytesIO(turn.question.picture)).convert("RGB"))
                parts.insert(0, {"type": "image"})
            messages.append({"role": "user", "content": parts})
            if turn.answer:
                messages.append({"role": "assistant", "content": turn.answer})
        return messages, pictures

    def figures(self) -> dict[str, float] | None:
        """None: nothing is told."""
        return None


def bandwidth(threads: int, megabytes: int = 1024, times: int = 10) -> float:
    """Bytes per second that all threads together read from memory: the best of several sums."""
    torch.set_num_threads(threads)
    numbers = torch.ones(megabytes * 250_000)
    best = float("inf")
    for _ in range(times):
        started = time.perf_counter()
        numbers.sum()
        best = min(best, time.perf_counter() - started)
    return numbers.numel() * 4 / best
