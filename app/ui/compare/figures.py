"""What stands under an answer that is compared: how fast it came, and from which weights."""

from __future__ import annotations

import html

from app.protocol import StoredAnswer
from app.ui.language import Texts


def tokens_per_second(answer: StoredAnswer) -> float | None:
    """Tokens after the first, per second after the first; None where that cannot be said."""
    first, total, tokens = (
        answer.first_token_seconds,
        answer.total_seconds,
        answer.completion_tokens,
    )
    if first is None or total is None or tokens < 2 or total <= first:
        return None
    return (tokens - 1) / (total - first)


def figures_html(answer: StoredAnswer | None, conversation: str | None, texts: Texts) -> str:
    """Time to first token, tokens per second, precision, and the way on; nothing before that."""
    if answer is None or answer.finish_reason is None:
        return ""
    facts = []
    if answer.first_token_seconds is not None:
        facts.append(("compare.first_token", f"{answer.first_token_seconds:.2f} s"))
    speed = tokens_per_second(answer)
    if speed is not None:
        facts.append(("compare.speed", f"{speed:.0f}" if speed >= 10 else f"{speed:.1f}"))
    if answer.completion_tokens:
        facts.append(("compare.tokens", str(answer.completion_tokens)))
    if answer.precision:
        facts.append(("compare.precision", answer.precision.replace("bit", " bit")))
    shown = "".join(
        f"<div><dt>{html.escape(texts(key))}</dt><dd>{html.escape(value)}</dd></div>"
        for key, value in facts
    )
    return f'<dl class="figures">{shown}</dl>{_way_on(conversation, texts)}'


def _way_on(conversation: str | None, texts: Texts) -> str:
    if not conversation:
        return ""
    words = html.escape(texts("compare.continue"))
    return f'<a class="way-on" href="./?chat={html.escape(conversation)}">{words}</a>'
