"""Two models together on ScienceQA, as in section 5.2 of https://arxiv.org/abs/2304.08485.

*Complement* takes the helper's answer (GPT-4 in the paper), and the model's own where the helper
has none. *Judge* asks once more where the two differ: the judge sees the question, the options and
both answers; where no letter can be read from its reply, the model's own answer stays.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from training.evals.letters import FAILED, Reader
from training.evals.science_gold import Gold, GoldFile
from training.evals.science_scores import Predictions, ScienceScores, scored
from training.scienceqa import Problem, question_of

JUDGE_PROMPT = Path(__file__).parent / "prompts" / "science_judge.txt"


@dataclass(frozen=True)
class Two:
    """The model and its helper, with the choice that each takes of every problem."""

    gold: GoldFile
    model: Predictions
    helper: Predictions
    model_choices: Mapping[str, int]
    helper_choices: Mapping[str, int]

    @classmethod
    def of(cls, gold: GoldFile, model: Predictions, helper: Predictions, reader: Reader) -> Two:
        """Both read by the same reader."""
        choices = [
            {each.id: who.choice(each, reader) for each in gold.problems} for who in (model, helper)
        ]
        return cls(gold, model, helper, choices[0], choices[1])

    @property
    def disputed(self) -> list[Gold]:
        """The problems on which the two differ; a failure differs from any choice."""
        return [
            each
            for each in self.gold.problems
            if self.model_choices[each.id] != self.helper_choices[each.id]
        ]


def complement(two: Two, seed: int, guess: bool) -> ScienceScores:
    """The helper's choices, the model's where the helper has none."""
    choices = {
        name: index if index != FAILED else two.model_choices[name]
        for name, index in two.helper_choices.items()
    }
    return _scored("complement", two, choices, seed, guess)


def judged(
    two: Two, verdicts: Mapping[str, str], reader: Reader, seed: int, guess: bool
) -> ScienceScores:
    """The judge's choice where the two differ; ``verdicts`` are its replies, by problem."""
    choices = dict(two.model_choices)
    for each in two.disputed:
        verdict = reader(verdicts.get(each.id, ""), each.choices)
        choices[each.id] = verdict if verdict != FAILED else two.model_choices[each.id]
    return _scored("judge", two, choices, seed, guess)


def upper_bound(two: Two, seed: int) -> ScienceScores:
    """What a judge that is never wrong would reach: right where one of the two is."""
    choices = {
        each.id: each.answer
        if each.answer in (two.model_choices[each.id], two.helper_choices[each.id])
        else two.model_choices[each.id]
        for each in two.gold.problems
    }
    return _scored("upper bound", two, choices, seed, guess=False)


def _scored(
    kind: str, two: Two, choices: Mapping[str, int], seed: int, guess: bool
) -> ScienceScores:
    failed = sum(index == FAILED for index in choices.values())
    name = f"{two.model.name} + {two.helper.name}, {kind}"
    return scored(name, two.gold, choices, seed, failed=failed, guess=guess)


def judge_question(
    gold: Gold, two: Two, template: str, shown: Callable[[str], str] = str.strip
) -> str:
    """What the judge is asked about a disputed problem: ``template`` with question and answers.

    The template holds ``{question}``, ``{model}`` and ``{helper}``.
    """
    problem = Problem(gold.id, gold.question, gold.choices, gold.answer, gold.hint)
    values = {
        "question": question_of(problem),
        "model": shown(two.model.texts.get(gold.id, "(no answer)")),
        "helper": shown(two.helper.texts.get(gold.id, "(no answer)")),
    }
    return re.sub(r"\{(question|model|helper)\}", lambda name: values[name[1]], template)
