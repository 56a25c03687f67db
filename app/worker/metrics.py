"""Figures of the engines in Prometheus' text format.

https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict

from app.worker.engine import EngineQueue
from app.worker.queue import ModelQueue

TYPE = "text/plain; version=0.0.4"
HELP = {
    "requests": "answers that were written to their end",
    "prompt_tokens": "prompt tokens that were computed",
    "reused_tokens": "prompt tokens that another request had left in the cache",
    "answer_tokens": "tokens of answers",
    "steps": "steps of the engine",
    "failed_steps": "steps that could not be computed",
    "model_seconds": "seconds in which the model computed",
    "step_seconds": "seconds that steps took in all",
    "features_hits": "pictures that were known",
    "features_misses": "pictures that were looked at",
    "preemptions": "requests that stepped back because the cache was full",
    "active": "requests in work",
    "waiting": "requests in the line",
    "blocks": "blocks of the cache",
    "blocks_used": "blocks that belong to requests",
    "blocks_remembered": "blocks without an owner whose content may be used again",
    "features_bytes": "bytes of pictures' features",
}
GAUGES = ("active", "waiting", "blocks", "blocks_used", "blocks_remembered", "features_bytes")


def metrics(queues: Mapping[str, ModelQueue | EngineQueue]) -> str:
    """One line for each figure and model."""
    figures = {name: figures_of(queue) for name, queue in queues.items()}
    return "".join(f"{line}\n" for line in _lines(figures))


def figures_of(queue: ModelQueue | EngineQueue) -> dict[str, float]:
    """The figures of one model; of plain generation there are few."""
    own: dict[str, float] = {"active": queue.active, "waiting": queue.waiting}
    if not isinstance(queue, EngineQueue):
        return own
    engine = queue.engine
    scheduler, features = engine.scheduler, engine.features
    return {
        **own,
        **asdict(engine.figures),
        "features_hits": features.hits,
        "features_misses": features.misses,
        "features_bytes": features.bytes,
        "preemptions": scheduler.preemptions,
        "blocks": scheduler.pool.number,
        "blocks_used": scheduler.pool.used,
        "blocks_remembered": scheduler.pool.remembered,
    }


def _lines(figures: Mapping[str, Mapping[str, float]]) -> Iterator[str]:
    for name, words in HELP.items():
        told = {model: own[name] for model, own in figures.items() if name in own}
        if not told:
            continue
        gauge = name in GAUGES
        full = f"llava_studio_{name}" + ("" if gauge else "_total")
        yield f"# HELP {full} {words}"
        yield f"# TYPE {full} {'gauge' if gauge else 'counter'}"
        for model, value in told.items():
            label = model.replace("\\", "\\\\").replace('"', '\\"')
            yield f'{full}{{model="{label}"}} {value:g}'
