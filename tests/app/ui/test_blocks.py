"""Changes that a browser takes in late, as it does under load."""

from __future__ import annotations

from typing import Any

import gradio as gr
import pytest

from app.ui.blocks import StudioBlocks


def apply_edits(value: Any, edits: list[Any]) -> Any:
    """What Gradio's code in the browser does with the edits: it changes the value in place."""
    for action, path, new in edits:
        if not path:
            value = value + new if action == "append" else new
            continue
        place = value
        for key in path[:-1]:
            place = place[key]
        if action == "delete":
            del place[path[-1]]
        elif action == "append":
            place[path[-1]] += new
        elif action == "add" and isinstance(place, list):
            place.insert(path[-1], new)
        else:
            place[path[-1]] = new
    return value


@pytest.fixture
async def blocks() -> StudioBlocks:
    def work() -> None: ...

    with StudioBlocks() as blocks:
        box, chat = gr.Textbox(), gr.Chatbot()
        gr.Button().click(work, None, [box, chat])
    return blocks


def arrived(blocks: StudioBlocks, changes: list[list[Any]]) -> list[list[Any]]:
    """The values as a browser sees them that takes all changes in before it shows the first."""
    function = next(iter(blocks.fns.values()))
    shown: list[list[Any]] = []
    for number, change in enumerate([*changes, [None, None]]):
        final = number == len(changes)
        sent = blocks.handle_streaming_diffs(function, change, "tab", "run", final)
        if number == 0 or final:
            shown.append(sent)
        else:
            pairs = zip(shown[-1], sent, strict=True)
            shown.append([apply_edits(old, edits) for old, edits in pairs])
    return shown


async def test_a_change_says_what_it_said_when_the_next_one_has_come(blocks: StudioBlocks) -> None:
    empty = gr.update(value={"text": "", "files": []})
    talk: list[Any] = [{"role": "user", "content": "What?"}]
    changes = [
        [gr.update(submit_btn=False), gr.update(value=talk)],
        [empty, gr.skip()],
        [gr.skip(), gr.update(value=[*talk, {"role": "assistant", "content": "A"}])],
    ]
    shown = arrived(blocks, [list(change) for change in changes])
    assert shown[:3] == changes


async def test_a_growing_answer_is_sent_piece_by_piece(blocks: StudioBlocks) -> None:
    function = next(iter(blocks.fns.values()))
    sent = []
    for text in ("A", "A red", "A red circle."):
        change = [gr.skip(), gr.update(value=[{"role": "assistant", "content": text}])]
        sent.append(blocks.handle_streaming_diffs(function, change, "tab", "run", False)[1])
    assert [edit for edits in sent[1:] for edit in edits] == [
        ["append", ["value", 0, "content"], " red"],
        ["append", ["value", 0, "content"], " circle."],
    ]


async def test_the_end_changes_nothing_again(blocks: StudioBlocks) -> None:
    shown = arrived(blocks, [[gr.update(value="typed"), gr.update(value=[])]])
    assert shown[-1] == [gr.skip(), gr.skip()]
