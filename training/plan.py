"""How much is drawn and how long each part trains: the full recipe and the quick one for tests."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from training.scenes import Scene
from training.world import clear_scenes, sample_scenes, scenes_with_nothings

SEED = 1


@dataclass(frozen=True)
class Plan:
    """Sizes and times. A part ends after its steps or its minutes, whichever comes first."""

    folder: Path
    tower_pictures: int = 60_000
    pictures: int = 60_000
    further_pictures: int = 20_000
    held_out: int = 600
    questions_per_type: int = 100
    tower_steps: int = 6_000
    tower_minutes: float = 30.0
    language_steps: int = 6_000
    language_minutes: float = 30.0
    stage1_steps: int = 600
    stage1_minutes: float = 5.0
    stage2_steps: int = 12_000
    stage2_minutes: float = 49.0
    stage2b_steps: int = 12_000
    stage2b_minutes: float = 72.0
    tower_batch: int = 48
    language_tokens: int = 3000
    stage1_tokens: int = 3000
    stage2_tokens: int = 4000
    log_every: int = 50
    seed: int = SEED

    def tower_scenes(self) -> list[Scene]:
        """Half crowded, half as in the instructions."""
        half = self.tower_pictures // 2
        crowded = sample_scenes(self.seed * 1000 + 1, half, crowded=True)
        return crowded + sample_scenes(self.seed * 1000 + 2, self.tower_pictures - half)

    def instruction_scenes(self) -> list[Scene]:
        """The scenes of both stages."""
        return sample_scenes(self.seed * 1000 + 3, self.pictures)

    def further_scenes(self) -> list[Scene]:
        """The scenes of stage 2's second part: half of them fit for descriptions, more nothings."""
        half = self.further_pictures // 2
        rest = self.further_pictures - half
        mixed = scenes_with_nothings(self.seed * 1000 + 7, rest, share=0.2)
        return clear_scenes(self.seed * 1000 + 6, half) + mixed

    def held_out_scenes(self) -> list[Scene]:
        """Scenes for validation while training."""
        return sample_scenes(self.seed * 1000 + 4, self.held_out)


def full_plan(folder: Path) -> Plan:
    """The recipe of the bundled checkpoints: under three hours on two cores without a GPU."""
    return Plan(folder)


def quick_plan(folder: Path) -> Plan:
    """The same path in under ten minutes; the result is not worth talking to."""
    return Plan(
        folder,
        tower_pictures=1_000,
        pictures=1_000,
        further_pictures=500,
        held_out=60,
        questions_per_type=8,
        tower_steps=60,
        tower_minutes=1.0,
        language_steps=60,
        language_minutes=1.0,
        stage1_steps=20,
        stage1_minutes=0.5,
        stage2_steps=60,
        stage2_minutes=1.0,
        stage2b_steps=40,
        stage2b_minutes=1.0,
        log_every=10,
    )
