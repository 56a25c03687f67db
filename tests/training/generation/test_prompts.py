"""Prompts: what the teacher is sent, and files of the user's own."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from llava_core.errors import PictureError
from llava_core.training.records import DataError
from tests.scripted_endpoint import text_of
from training.generation.prompts import FOLDER, KINDS, context, load_prompts, request_of
from training.generation.source import Instance, Subject

SUBJECT = Subject(
    0, "7", "7.png", ("A dog.", "It rests."), (Instance("dog", (0.1, 0.25, 0.3, 1.0)),)
)


def test_the_context() -> None:
    assert context(SUBJECT, boxes=False) == "A dog.\nIt rests."
    assert context(SUBJECT, boxes=True) == "A dog.\nIt rests.\n\ndog: [0.1, 0.25, 0.3, 1]"


def test_conversation_is_asked_for_without_boxes_the_others_with_them() -> None:
    prompts = load_prompts(KINDS, None).by_kind
    for kind in KINDS:
        request = request_of(kind, prompts[kind], SUBJECT, None)
        assert request.id == f"{kind}-7"
        roles = [message["role"] for message in request.messages]
        assert roles == ["system", *["user", "assistant"] * len(prompts[kind].examples), "user"]
        assert ("[0.1, 0.25" in text_of(request.messages[-1])) == (kind != "conversation")
        assert "attached" not in text_of(request.messages[0])


def test_a_teacher_that_sees(tmp_path: Path) -> None:
    prompt = load_prompts(["detail"], None).by_kind["detail"]
    with pytest.raises(PictureError, match=r"7\.png cannot be read"):
        request_of("detail", prompt, SUBJECT, tmp_path)
    Image.new("RGB", (2000, 10)).save(tmp_path / "7.png")
    request = request_of("detail", prompt, SUBJECT, tmp_path)
    text, picture = request.messages[-1]["content"]
    assert text["text"].startswith("A dog.")
    assert picture["image_url"]["url"].startswith("data:image/jpeg;base64,")
    assert "attached" in text_of(request.messages[0])
    assert request.tokens() > request_of("detail", prompt, SUBJECT, None).tokens() + 1000


def test_a_file_of_the_users_own_replaces_ours(tmp_path: Path) -> None:
    (tmp_path / "detail.yaml").write_text(
        "boxes: false\nsystem: Tell.\nquestions: [Tell me]\nexamples: [{context: A, result: B}]\n"
    )
    prompts = load_prompts(KINDS, tmp_path).by_kind
    assert prompts["detail"].system == "Tell."
    assert prompts["reasoning"] == load_prompts(["reasoning"], None).by_kind["reasoning"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("boxes: [", "cannot be read"),
        ("boxes: true", "system: Field required"),
        ("boxes: true\nsystem: Tell.\ntone: kind", "tone: Extra inputs"),
        ("boxes: true\nsystem: Tell.", "questions: there are none"),
        ("boxes: true\nsystem: T.\nquestions: [W]\nexamples: [{context: A}]", "either pairs or"),
    ],
)
def test_files_that_are_none(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "detail.yaml").write_text(text)
    with pytest.raises(DataError, match=words):
        load_prompts(["detail"], tmp_path)


def test_the_folder_has_a_file_for_each_kind() -> None:
    assert {path.stem for path in FOLDER.glob("*.yaml")} == {*KINDS, "objects"}
