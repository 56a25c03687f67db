"""Gradio's Blocks, with changes that stay apart however fast they come.

While a handler runs, Gradio sends each of its changes as edits of the one before, and the browser
applies them in place. Where two changes arrive at once, the second is applied before the first has
been shown, and what only the first said is lost: the box is not emptied, the question for a reason
stays open. When the handler ends, the last change is sent again, and undoes what the person has
done in the meantime.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gradio as gr

from app.ui.visitor import VISITOR, Visitor


class StudioBlocks(gr.Blocks):
    """Sends each change of a running handler once, and whole where it is not a longer text;
    always makes its pages in the browser."""

    visitor_of: Callable[[Any], Visitor] | None = None
    """What is known of the visitor whose event is handled."""

    async def call_function(
        self,
        block_fn: Any,
        processed_input: list[Any],
        iterator: Any = None,
        requests: Any = None,
        *others: Any,
        **named: Any,
    ) -> Any:
        """Run a handler with :data:`app.ui.visitor.VISITOR` set: events run in tasks of Gradio's
        own, to which no middleware comes. See :meth:`gradio.Blocks.call_function`."""
        request = requests[0] if isinstance(requests, list) else requests
        if request is not None and self.visitor_of is not None:
            VISITOR.set(self.visitor_of(request))
        return await super().call_function(
            block_fn, processed_input, iterator, requests, *others, **named
        )

    def _resolve_ssr_mode(
        self, ssr_mode: bool | None, disable_when_multi_page: bool = True
    ) -> bool:
        """Never: pages are made in the browser, which Gradio else warns of where there are many."""
        return False

    def handle_streaming_diffs(
        self,
        block_fn: Any,
        data: list[Any],
        session_hash: str | None,
        run: str | None,
        final: bool,
        simple_format: bool = False,
    ) -> list[Any]:
        """What the browser is sent; see :meth:`gradio.Blocks.handle_streaming_diffs`."""
        if session_hash is None or run is None or simple_format:
            return super().handle_streaming_diffs(
                block_fn, data, session_hash, run, final, simple_format
            )
        first = run not in self.pending_diff_streams[session_hash]
        new = list(data)
        sent = super().handle_streaming_diffs(block_fn, data, session_hash, run, final)
        if final:
            return [gr.skip() for _ in sent]
        return sent if first else [_apart(*pair) for pair in zip(sent, new, strict=True)]


def _apart(edits: list[Any], new: Any) -> list[Any]:
    """Edits that leave the former change as it was, except for what grows within its value."""
    growing = all(len(path) > 1 and path[0] == "value" for _, path, _ in edits)
    return edits if growing else [["replace", [], new]]
