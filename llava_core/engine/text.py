"""From token ids to text that can be shown while it grows."""

from __future__ import annotations

from collections.abc import Sequence

from transformers import PreTrainedTokenizerBase

UNFINISHED = "\ufffd"
MAX_PENDING = 8
"""Tokens after which an unfinished character is taken for a real replacement character."""


class IncrementalText:
    """Decodes one answer token by token; a character appears once all its bytes are there.

    Cost is constant per token: only the tokens since the last shown text are decoded again, with
    the ones before them as context, so that spaces between words come out right.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self._tokenizer = tokenizer
        added = tokenizer.added_tokens_decoder
        self._silent = frozenset(index for index, token in added.items() if token.special)
        self._ids: list[int] = []
        self._context = 0
        self._shown = 0

    def push(self, token: int) -> str:
        """The text that this token completes; empty inside a character, and of a special token."""
        if token in self._silent:
            return ""
        self._ids.append(token)
        return self._new_text(final=len(self._ids) - self._shown >= MAX_PENDING)

    def flush(self) -> str:
        """What is left at the end, even if its last character is unfinished."""
        return self._new_text(final=True)

    def _new_text(self, final: bool) -> str:
        before = self._decode(self._ids[self._context : self._shown])
        now = self._decode(self._ids[self._context :])
        if len(now) <= len(before) or (now.endswith(UNFINISHED) and not final):
            return ""
        self._context = self._shown
        self._shown = len(self._ids)
        return now[len(before) :]

    def _decode(self, ids: Sequence[int]) -> str:
        text = self._tokenizer.decode(
            list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        assert isinstance(text, str)
        return text


class StopStrings:
    """Ends an answer before any of the stop strings, however they fall on tokens."""

    def __init__(self, stop: Sequence[str]) -> None:
        self._stop = tuple(text for text in stop if text)
        self._held = ""
        self.found = False

    def push(self, text: str) -> str:
        """The text that is safe to show: no part of it can belong to a stop string."""
        if not self._stop or self.found:
            return "" if self.found else text
        held = self._held + text
        ends = [at for at in (held.find(stop) for stop in self._stop) if at >= 0]
        if ends:
            self.found = True
            self._held = ""
            return held[: min(ends)]
        keep = self._overlap(held)
        self._held = held[len(held) - keep :]
        return held[: len(held) - keep]

    def flush(self) -> str:
        """What was held back, once no more text comes."""
        held, self._held = self._held, ""
        return held

    def _overlap(self, text: str) -> int:
        """Length of the longest end of ``text`` with which a stop string begins."""
        longest = max(len(stop) for stop in self._stop) - 1
        for length in range(min(longest, len(text)), 0, -1):
            if any(stop.startswith(text[-length:]) for stop in self._stop):
                return length
        return 0
