"""The finished checkpoints: transformers format, model card, table of held-out accuracy."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np
from PIL import Image
from rich.progress import track
from transformers import (
    CLIPVisionModel,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedTokenizerFast,
    Qwen3ForCausalLM,
)
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from training.abilities import markdown, measure
from training.drawing import draw
from training.evaluation import Table, evaluate, held_out_items, load_answerer
from training.language import CONTEXT
from training.plan import Plan
from training.questions import TYPES
from training.scenes import COLOURS, KINDS, Scene
from training.tokenizer import IMAGE
from training.tower import DEVIATION, MEAN
from training.world import PIXELS

PATCH = 12
VISUAL_TOKENS = (PIXELS // PATCH) ** 2
NAMES = {1: "llava-tiny-stage1", 2: "llava-tiny-stage2"}
Assemble = Callable[..., LlavaForConditionalGeneration]
SEES = (
    "Sees drawn scenes of up to five things: "
    f"{', '.join(KINDS[:-1])} or {KINDS[-1]}, in {', '.join(COLOURS[:-1])} or {COLOURS[-1]}; "
    "their size, place and number. It cannot read text or understand photographs."
)
AFTER_STAGE_1 = "Only its projection has trained (stage 1), so it is often wrong."
SUGGESTIONS = [
    "Describe the picture.",
    "How many things are there?",
    "What is at the top left?",
]


def join(
    assemble: Assemble, tower: CLIPVisionModel, language: Qwen3ForCausalLM, image_id: int
) -> LlavaForConditionalGeneration:
    """Tower, a linear projection W and the language model as one LLaVA."""
    return assemble(
        tower,
        language,
        projector="linear",
        image_token_id=image_id,
        vision_feature_layer=-1,
        image_seq_length=VISUAL_TOKENS,
    )


def build_processor(tokenizer: PreTrainedTokenizerFast) -> LlavaProcessor:
    """Pictures squeezed to 96 x 96, so that nothing at their edges is cut off."""
    size = {"height": PIXELS, "width": PIXELS}
    images = CLIPImageProcessorPil(
        do_resize=True,
        size=size,
        resample=Image.Resampling.BICUBIC,
        do_center_crop=False,
        crop_size=size,
        do_rescale=True,
        do_normalize=True,
        image_mean=list(MEAN),
        image_std=list(DEVIATION),
        do_convert_rgb=True,
    )
    return LlavaProcessor(  # type: ignore[no-untyped-call]
        image_processor=images,
        tokenizer=tokenizer,
        patch_size=PATCH,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=tokenizer.chat_template,
        image_token=IMAGE,
    )


def export(
    model: LlavaForConditionalGeneration,
    tokenizer: PreTrainedTokenizerFast,
    output: Path,
    stage: int,
) -> Path:
    """Write one checkpoint folder: weights (safetensors), tokenizer, processor, template."""
    folder = output / NAMES[stage]
    folder.mkdir(parents=True, exist_ok=True)
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    model.generation_config.bos_token_id = tokenizer.bos_token_id
    model.train(False).cpu().float().save_pretrained(folder)
    build_processor(tokenizer).save_pretrained(folder)
    about = {
        "name": NAMES[stage],
        "sees": SEES if stage == 2 else f"{SEES} {AFTER_STAGE_1}",
        "template": "vicuna_v1",
        "suggestions": SUGGESTIONS,
    }
    (folder / "studio.json").write_text(json.dumps(about, indent=2) + "\n")
    return folder


def draw_picture(scene: Scene) -> Image.Image:
    """A scene at the resolution of training."""
    return Image.fromarray(np.asarray(draw(scene, PIXELS)))


def write_results(plan: Plan, output: Path) -> dict[int, Table]:
    """Ask both checkpoints the held-out questions; writes results.json, tables and model cards.

    What else the checkpoint of stage 2 can do is measured with a quarter of the questions.
    """
    items = held_out_items(plan.seed, plan.questions_per_type)
    tables: dict[int, Table] = {}
    for stage, name in NAMES.items():
        answerer = load_answerer(output / name)
        steps: Iterator[tuple[int, Table]] = evaluate(answerer, items, draw_picture)
        total = -(-len(items) // 64)
        for _, table in track(steps, f"asking {name}", total=total):
            tables[stage] = table
    abilities = measure(answerer, plan.seed, max(plan.questions_per_type // 4, 1))
    minutes = {part: part_minutes(plan.folder / part) for part in PARTS_THAT_TRAIN}
    results = {
        "seed": plan.seed,
        "questions_per_type": plan.questions_per_type,
        "minutes": minutes,
        "stages": {str(stage): asdict(table) for stage, table in tables.items()},
        "abilities": asdict(abilities),
    }
    (output / "results.json").write_text(json.dumps(results, indent=2) + "\n")
    text = table_text(tables)
    further = markdown(abilities)
    print(text, further, sep="\n\n", flush=True)
    for stage in NAMES:
        shown = f"{text}\n\n{SCENES_DRAWN_OTHERWISE}\n\n{further}" if stage == 2 else text
        card = model_card(stage, tables, shown, minutes, plan)
        (output / NAMES[stage] / "README.md").write_text(card)
    return tables


SCENES_DRAWN_OTHERWISE = (
    "The same checkpoint on scenes drawn wholly in one manner (mean over types; the other renderer "
    "and 1024 pixels never occur in training; outlines, dark pages and JPEG do, among others), its "
    "descriptions of one to five things anywhere, and pictures of nothing known "
    "(`python -m training.abilities`):"
)
PARTS_THAT_TRAIN = ("tower", "language", "stage1", "stage2", "stage2b")


def part_minutes(folder: Path) -> float:
    """Training minutes of a part, from its metrics."""
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    return float(json.loads(lines[-1])["minutes"]) if lines else 0.0


def table_text(tables: dict[int, Table]) -> str:
    """The accuracy table in Markdown, percent."""
    lines = [
        "| question type | stage 1 | stage 1, mismatched | stage 2 | stage 2, mismatched |",
        "|---|---|---|---|---|",
    ]
    for kind in TYPES:
        row = [kind.replace("_", " ")]
        for stage in NAMES:
            table = tables[stage]
            row += [f"{100 * table.matched[kind]:.0f}", f"{100 * table.mismatched[kind]:.0f}"]
        lines.append(f"| {' | '.join(row)} |")
    means = [
        f"**{100 * value:.1f}**"
        for stage in NAMES
        for value in (tables[stage].mean, tables[stage].mean_mismatched)
    ]
    lines.append(f"| **mean over types** | {' | '.join(means)} |")
    return "\n".join(lines)


def model_card(
    stage: int, tables: dict[int, Table], text: str, minutes: dict[str, float], plan: Plan
) -> str:
    """README.md of a checkpoint: data, recipe, accuracy, limits."""
    trained = "only the projection W" if stage == 1 else "the projection W and the language model"
    mean = 100 * tables[stage].mean
    times = ", ".join(f"{part} {value:.0f}" for part, value in minutes.items())
    return f"""---
library_name: transformers
pipeline_tag: image-text-to-text
license: apache-2.0
---
# {NAMES[stage]}

A LLaVA (vision tower -> linear projection W -> language model) trained from scratch by `make tiny`
in LLaVA Studio; this is the state after stage {stage}, in which {trained} trained.

**What it sees.** {SEES}

## Parts
CLIP-type vision tower ({PIXELS} px, patch {PATCH}, {VISUAL_TOKENS} visual tokens), linear W,
Qwen3-type language model with {CONTEXT} tokens of context; float32. LLaVA v1 chat template.

## Data
{plan.pictures} drawn scenes of none to five things with captions (stage 1) and instructions of the
paper's three kinds: conversation, detailed description, complex reasoning (stage 2), and
{plan.further_pictures} more with harder questions (stage 2, second part), all written by rules from
the scenes' symbols. The tower was prepared on {plan.tower_pictures} further scenes with
dense labels, the language model on text alone. No photographs and no outside data.

## Recipe
`make tiny`, seed {plan.seed}. Minutes of training: {times}.

## Accuracy
Held-out scenes, greedy decoding, exact answers after normalising case and punctuation,
{plan.questions_per_type} questions per type, percent; beside it the same questions with mismatched
pictures. Mean over types of this checkpoint: {mean:.1f}%.

{text}

## Limits
It knows nothing outside its drawn world and answers in its own few sentence forms. It was trained
on pictures of {PIXELS} x {PIXELS} pixels: larger ones are squeezed to that. Small things in crowded
pictures, places near the border between two ninths of the picture, and unusual wordings are its
weak spots.
"""
