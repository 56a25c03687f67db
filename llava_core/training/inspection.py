"""What a run is measured by on held-out records: their loss, and answers to read."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import nn

from llava_core.conversation import Conversation, Message
from llava_core.engine.generate import generate
from llava_core.engine.sampling import SamplingParams
from llava_core.errors import CoreError
from llava_core.model import Checkpoint
from llava_core.training.batching import Mixture, Shape, collate, lay_out
from llava_core.training.metrics import drop_lines_after
from llava_core.training.objective import AnswerLoss
from llava_core.training.prepared import Prepared
from llava_core.training.records import Record, conversation_of
from llava_core.training.tuning_task import Pictures

FILE = "answers.jsonl"


def validation_loss(
    objective: AnswerLoss,
    held_out: Prepared,
    pictures: Pictures,
    *,
    shape: Shape,
    pad_id: int,
    limit: int,
    device: torch.device,
) -> float:
    """Mean loss over the answer tokens of the first ``limit`` held-out samples."""
    mixture = Mixture([held_out], [1.0], seed=0)
    samples = list(range(min(limit, len(held_out))))
    answers = int(mixture.answer_tokens[samples].sum())
    was_training = objective.training
    objective.eval()
    total = 0.0
    with torch.no_grad():
        for micro in lay_out(samples, mixture.lengths, shape)[0]:
            batch = collate(micro, mixture, pad_id)
            seen = pictures.see(pictures.load(batch.pictures)[0], device)
            total += objective(
                batch.ids.to(device), batch.positions.to(device), batch.targets.to(device), seen
            ).item()
    objective.train(was_training)
    return total / max(answers, 1)


@dataclass(frozen=True)
class Question:
    """A question to be answered: the conversation up to it, and the answer in the data."""

    record: str
    conversation: Conversation
    reference: str

    @property
    def text(self) -> str:
        """The question itself."""
        return self.conversation.messages[-1].text


def questions_of(record: Record, images: Path, open_picture: Any = Image.open) -> list[Question]:
    """Every question of a record, each after the answers in the data to those before it."""
    conversation = conversation_of(record, lambda name: open_picture(images / name).convert("RGB"))
    found = []
    messages: Sequence[Message] = conversation.messages
    for at, message in enumerate(messages):
        if message.role == "assistant":
            asked = Conversation(tuple(messages[:at]))
            found.append(Question(record.id, asked, message.text))
    return found


def answer(checkpoint: Checkpoint, question: Question, max_tokens: int = 256) -> str:
    """The checkpoint's greedy answer, through the engine that serves."""
    params = SamplingParams(temperature=0.0, max_tokens=max_tokens)
    pieces = generate(checkpoint, question.conversation, params)
    return "".join(piece.text for piece in pieces).strip()


def write_answers(
    checkpoint: Checkpoint,
    module: nn.Module,
    questions: Sequence[Question],
    folder: Path,
    step: int,
) -> float:
    """Answer fixed questions with the weights of now, keep the answers in ``answers.jsonl``, and
    return the share that is word for word the one in the data.

    Answers of this step and later ones are from a run that was killed, and are replaced.
    """
    was_training = module.training
    module.eval()
    mixed = len({parameter.dtype for parameter in module.parameters()}) > 1
    right = 0
    lines = []
    for question in questions:
        try:
            with torch.autocast(checkpoint.device.type, dtype=checkpoint.dtype, enabled=mixed):
                said = answer(checkpoint, question)
        except CoreError as error:
            said = f"({error})"
        right += normalised(said) == normalised(question.reference)
        entry = {
            "step": step,
            "record": question.record,
            "question": question.text,
            "answer": said,
            "reference": question.reference,
        }
        lines.append(json.dumps(entry, ensure_ascii=False))
    module.train(was_training)
    drop_lines_after(folder / FILE, step - 1)
    with (folder / FILE).open("a", encoding="utf-8") as file:
        file.write("".join(f"{line}\n" for line in lines))
    return right / max(len(questions), 1)


def normalised(text: str) -> str:
    """Small letters and single spaces, without punctuation."""
    kept = "".join(char if char.isalnum() else " " for char in text.lower())
    return " ".join(kept.split())
