"""From dialogues to batches: token ids, loss mask and where the visual tokens stand."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn
from transformers import PreTrainedModel

from llava_core.conversation import Conversation, ImagePart, Message, TextPart, assistant, user
from llava_core.templates import Renderer, expand_image_tokens
from training.questions import Turn

T = TypeVar("T")
_STAND_IN = Image.new("RGB", (1, 1))
"""Only the place of a picture matters here; its features come from the cache."""


@dataclass(frozen=True)
class Sample:
    """One conversation, ready for a batch.

    ``ids`` and ``mask`` are equally long; ``kinds`` names the type of each answer in order;
    ``pictures`` are the keys of its pictures, whose visual tokens stand at the image placeholders.
    """

    ids: list[int]
    mask: list[bool]
    kinds: tuple[str, ...]
    pictures: tuple[int, ...]


@dataclass(frozen=True)
class Batch:
    """``ids`` (B, T) padded on the right; ``targets`` (B, T) with -100 where no loss is taken."""

    ids: Tensor
    targets: Tensor
    samples: tuple[Sample, ...]


Visual = Callable[[Sample], Tensor]
"""All visual tokens of a sample, in order: (tokens, d)."""


def messages_of(turns: Sequence[Turn], context: str = "", picture: bool = True) -> list[Message]:
    """User and assistant messages; the first question carries the picture or a text context."""
    messages: list[Message] = []
    for index, turn in enumerate(turns):
        first = index == 0
        question = f"{context}\n{turn.question}" if first and context else turn.question
        images = (_STAND_IN,) if first and picture else ()
        messages += [user(question, *images), assistant(turn.answer)]
    return messages


def encode(
    renderer: Renderer,
    messages: Sequence[Message],
    kinds: Sequence[str],
    image_token_id: int,
    visual_tokens: Sequence[int],
    pictures: Sequence[int],
) -> Sample:
    """Render one conversation; its i-th picture takes ``visual_tokens[i]`` places."""
    rendered = renderer.render(Conversation(tuple(messages)), generation_prompt=False)
    if visual_tokens:
        rendered = expand_image_tokens(rendered, image_token_id, visual_tokens)
    return Sample(rendered.token_ids, rendered.loss_mask, tuple(kinds), tuple(pictures))


def placeholder_parts(text: str, placeholder: str = "<image>") -> tuple[ImagePart | TextPart, ...]:
    """A human turn of LLaVA's training JSON as parts: its placeholders become pictures."""
    parts: list[ImagePart | TextPart] = []
    pieces = text.split(placeholder)
    for index, piece in enumerate(pieces):
        if index:
            parts.append(ImagePart(_STAND_IN))
        if piece.strip("\n"):
            parts.append(TextPart(piece.strip("\n")))
    return tuple(parts)


def collate(samples: Sequence[Sample], pad_id: int) -> Batch:
    """Samples padded on the right, which causal attention needs no mask for."""
    length = max(len(sample.ids) for sample in samples)
    ids = torch.full((len(samples), length), pad_id)
    targets = torch.full((len(samples), length), -100)
    for row, sample in enumerate(samples):
        tokens = torch.tensor(sample.ids)
        ids[row, : len(tokens)] = tokens
        targets[row, : len(tokens)] = torch.where(torch.tensor(sample.mask), tokens, -100)
    return Batch(ids, targets, tuple(samples))


def split_evenly(items: list[T], sizes: list[int], parts: int) -> list[list[T]]:
    """``items`` in order, cut into at most ``parts`` runs of about the same total size."""
    total, done = sum(sizes), 0
    runs: list[list[T]] = [[] for _ in range(parts)]
    for item, size in zip(items, sizes, strict=True):
        runs[min(done * parts // total, parts - 1)].append(item)
        done += size
    return [run for run in runs if run]


def answer_logits(
    batch: Batch,
    visual: Visual,
    language: PreTrainedModel,
    head: nn.Module,
    image_token_id: int,
) -> tuple[Tensor, Tensor]:
    """Logits and targets at the places that predict an answer token: (n, vocabulary), (n,)."""
    embeddings = language.get_input_embeddings()
    device = next(head.parameters()).device
    ids = batch.ids.to(device)
    hidden = embeddings(ids)
    at = ids == image_token_id
    if at.any():
        tokens = torch.cat([visual(sample) for sample in batch.samples if sample.pictures])
        hidden = hidden.masked_scatter(at.unsqueeze(-1), tokens.to(hidden.dtype))
    hidden = language(inputs_embeds=hidden, use_cache=False).last_hidden_state
    targets = batch.targets[:, 1:].to(device)
    chosen = targets != -100
    return head(hidden[:, :-1][chosen]), targets[chosen]


def answer_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Mean cross-entropy over answer tokens, in float32."""
    return F.cross_entropy(logits.float(), targets)


class Scores:
    """Right answers per question type."""

    def __init__(self) -> None:
        self.right: dict[str, int] = defaultdict(int)
        self.total: dict[str, int] = defaultdict(int)

    def add(self, kind: str, right: bool) -> None:
        self.right[kind] += right
        self.total[kind] += 1

    def add_batch(self, batch: Batch, logits: Tensor, targets: Tensor) -> None:
        """Teacher-forced: an answer is right when every token of it is the most likely one.

        The same as greedy decoding giving exactly this answer.
        """
        hits = (logits.argmax(-1) == targets).tolist()
        start = 0
        for sample in batch.samples:
            for kind, length in zip(sample.kinds, answer_lengths(sample.mask), strict=True):
                self.add(kind, all(hits[start : start + length]))
                start += length

    def shares(self) -> dict[str, float]:
        """Share of right answers per type, in alphabetical order."""
        return {kind: self.right[kind] / self.total[kind] for kind in sorted(self.total)}


def answer_lengths(mask: Sequence[bool]) -> list[int]:
    """Lengths of the runs of True: one per answer."""
    lengths: list[int] = []
    previous = False
    for flag in mask:
        if flag and not previous:
            lengths.append(0)
        if flag:
            lengths[-1] += 1
        previous = flag
    return lengths


def mean_over_types(shares: dict[str, float]) -> float:
    """The mean over question types; small talk and word lists do not count."""
    counted = [share for kind, share in shares.items() if kind not in ("talk", "words")]
    return sum(counted) / max(len(counted), 1)
