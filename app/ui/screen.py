"""What a handler wants changed on the page, by name; what it leaves out stays as it is."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from app.errors import StudioError
from app.protocol import (
    Explanation,
    ModelInfo,
    Rating,
    RatingValue,
    Sampling,
    StoredAnswer,
    StoredConversation,
)
from app.queue_place import QueuePlace
from app.ui.language import Texts
from app.ui.messages import Message, chosen_answer, messages_of
from app.ui.tab import Tab

REASONS_FOR: dict[RatingValue, tuple[str, ...]] = {
    "up": ("correct", "clear", "other"),
    "down": ("wrong", "invented", "incomplete", "unclear", "other"),
    "flag": ("offensive", "invented", "other"),
}
"""For each rating the reasons offered, as app.protocol.REASONS calls them."""


@dataclass(frozen=True)
class Draft:
    """What stands in the message box: words, and the paths of uploaded pictures."""

    text: str = ""
    files: tuple[str, ...] = ()


@dataclass(frozen=True)
class Choice:
    """Which model is asked, and how it picks its words."""

    model: str
    sampling: Sampling


@dataclass(frozen=True)
class Edit:
    """A question asked anew in the place of another: its words, and which of its pictures stay."""

    question_id: str
    text: str
    pictures: tuple[int, ...] = ()


@dataclass(frozen=True)
class Models:
    """The models on offer, which of them is chosen, and what it can see.

    ``news`` says how much of that the page does not know yet. A reply may come late, when the
    person has chosen another model already: what they chose is then not undone.
    """

    names: tuple[str, ...]
    chosen: str | None
    sees: str
    news: Literal["all", "sight", "names"] = "all"

    @classmethod
    def of(cls, served: list[ModelInfo], *wishes: str | None) -> Models:
        """The first wish that is served is chosen, else the first model."""
        by_name = {model.id: model for model in served}
        chosen = next((wish for wish in wishes if wish in by_name), next(iter(by_name), None))
        return cls(tuple(by_name), chosen, by_name[chosen].sees if chosen else "")

    def known_but(self, news: Literal["sight", "names"], shown: str | None) -> Models:
        """The same for a page whose box shows this model: less is new while it is served."""
        return replace(self, news=news) if self.chosen == shown else self


@dataclass(frozen=True)
class RatingPanel:
    """The question for a reason; ``rating`` None: closed."""

    rating: Rating | None = None


@dataclass(frozen=True)
class Notice:
    """What the person is told: words of ``assets/texts`` by key, or an error; else nothing."""

    key: str = ""
    error: StudioError | None = None

    def words(self, texts: Texts) -> str:
        """The notice in a language; empty where there is none."""
        if self.error:
            return texts.error(self.error)
        return texts(self.key) if self.key else ""


@dataclass(frozen=True)
class Insight:
    """Where an answer looked; or why that cannot be told."""

    answer_id: str
    explanation: Explanation | None = None
    refused: StudioError | None = None


@dataclass(frozen=True, kw_only=True)
class Change:
    """New values for parts of the page; None: unchanged. An empty ``notice`` removes the notice.

    ``written`` is the text of the answer in work so far, ``place`` where it waits for its turn.
    """

    tab: Tab | None = None
    messages: list[Message] | None = None
    written: str | None = None
    place: QueuePlace | None = None
    insight: Insight | None = None
    draft: Draft | None = None
    busy: bool | None = None
    notice: Notice | None = None
    models: Models | None = None
    panel: RatingPanel | None = None
    answer: StoredAnswer | None = None
    """The answer that the path ends with, as it is stored; for what stands under it."""

    def but(self, **changes: object) -> Change:
        """The same with some values replaced."""
        return replace(self, **changes)  # type: ignore[arg-type]


def failed(error: StudioError) -> Change:
    """Nothing but the notice of what went wrong."""
    return Change(notice=Notice(error=error))


def showing(tab: Tab, conversation: StoredConversation) -> Change:
    """The whole conversation as it is stored now, ready for the next question."""
    return Change(
        tab=tab.shows(conversation),
        messages=messages_of(conversation),
        panel=RatingPanel(),
        busy=False,
        notice=Notice(),
        answer=chosen_answer(conversation.turns[-1]) if conversation.turns else None,
    )
