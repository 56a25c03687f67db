"""What one browser tab remembers, kept in the browser, so that the page's server may restart."""

from __future__ import annotations

import json
import secrets
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from app.protocol import RatingValue, StoredConversation

NAME = """
(tab) => {
  try {
    if (JSON.parse(tab).person.length >= 8) return tab;
  } catch { /* kept by something else: begin anew */ }
  const bytes = [...crypto.getRandomValues(new Uint8Array(16))];
  const person = bytes.map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return JSON.stringify({ person });
}
"""


def at_once(recall: str) -> str:
    """JavaScript that runs in the browser before the page's server is asked for anything: it names
    the person in the tab, the first of its arguments, and passes all on to ``recall``.

    What is begun while the page is still loading is then the same person's as what follows, and
    belongs to what this tab shows.
    """
    return f"(tab, ...rest) => ({recall.strip()})(({NAME.strip()})(tab), ...rest)"


class Rated(BaseModel):
    """The rating whose reason is asked for at the moment."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    answer_id: str
    value: RatingValue


class Tab(BaseModel):
    """Who asks, which conversation the tab shows, and the answers it shows, in order.

    ``path`` says what this tab shows, which can differ from what another tab has done to the same
    conversation since: the next question continues what the person sees.
    """

    # A key of another version is no reason to forget who somebody is.
    model_config = ConfigDict(frozen=True, extra="ignore")

    person: str = Field(min_length=8, max_length=64)
    conversation: str | None = None
    path: tuple[str, ...] = ()
    model: str | None = None
    rated: Rated | None = None

    @classmethod
    def new(cls) -> Self:
        """A tab of a person who was never here."""
        return cls(person=secrets.token_hex(16))

    @classmethod
    def read(cls, stored: Any) -> Self:
        """The tab that the browser has stored. Of one that another version has written, the person
        is kept; it is a new one where there is nothing or nothing readable."""
        if not isinstance(stored, str):
            return cls.new()
        try:
            return cls.model_validate_json(stored)
        except ValidationError:
            return cls._of_its_person(stored)

    @classmethod
    def _of_its_person(cls, stored: str) -> Self:
        try:
            return cls(person=json.loads(stored)["person"])
        except (ValueError, TypeError, KeyError):
            return cls.new()

    def store(self) -> str:
        """What the browser keeps, as JSON text: Gradio sends changes of objects piece by piece,
        and leaves keys of its own in them."""
        return self.model_dump_json()

    @property
    def last_answer(self) -> str | None:
        """The answer that the next question continues."""
        return self.path[-1] if self.path else None

    def fresh(self) -> Tab:
        """The same person with an empty conversation."""
        return Tab(person=self.person, model=self.model)

    def shows(self, conversation: StoredConversation) -> Tab:
        """The tab when it shows the conversation's current path."""
        path = tuple(turn.chosen for turn in conversation.turns if turn.chosen)
        return self.model_copy(
            update={"conversation": conversation.id, "path": path, "rated": None}
        )
