"""Conversations check themselves."""

from __future__ import annotations

import pytest
from PIL import Image

from llava_core.conversation import Conversation, ImagePart, Message, assistant, system, user

PICTURE = Image.new("RGB", (2, 2))


def test_pictures_come_in_order() -> None:
    other = Image.new("RGB", (3, 3))
    talk = Conversation((user("one", PICTURE), assistant("a"), user("two", other)))
    assert talk.images == (PICTURE, other) and talk.awaits_answer


@pytest.mark.parametrize(
    "messages",
    [(), (system("s"),), (assistant("a"),), (user("q"), user("q")), (user("q"), system("s"))],
)
def test_speakers_alternate(messages: tuple[Message, ...]) -> None:
    with pytest.raises(ValueError, match="user"):
        Conversation(messages)


def test_only_users_send_pictures() -> None:
    with pytest.raises(ValueError, match="pictures belong in user messages"):
        Message("assistant", (ImagePart(PICTURE),))
    with pytest.raises(ValueError, match="at least one part"):
        Message("user", ())
