"""From the bytes of a request to a conversation: form, sampling, pictures, roles."""

from __future__ import annotations

from pydantic import ValidationError

from app.errors import BadRequest, EmptyMessage
from app.http import invalid
from app.protocol import ChatMessage, ChatRequest, ImageContent, Sampling
from app.settings import Settings
from app.worker.pictures import PictureCache
from llava_core.conversation import Conversation, ImagePart, Message, Part, TextPart


def parse(body: bytes) -> ChatRequest:
    """The request in its typed form; raises :class:`app.errors.BadRequest`, naming the field."""
    try:
        return ChatRequest.model_validate_json(body)
    except ValidationError as error:
        raise invalid(error) from error


def sampling_of(chat: ChatRequest, settings: Settings) -> Sampling:
    """The request's sampling parameters, with the server's longest answer by default."""
    sampling = chat.sampling()
    if chat.max_tokens is None and chat.max_completion_tokens is None:
        return sampling.model_copy(update={"max_tokens": settings.default_max_tokens})
    return sampling


def conversation_of(
    messages: list[ChatMessage],
    settings: Settings,
    pictures: PictureCache,
    answered: bool = False,
) -> Conversation:
    """The conversation with its pictures decoded; takes a while, so keep it off the event loop.

    It ends with a question, or, if ``answered``, with an answer. Raises
    :class:`app.errors.BadRequest` or one of its kinds.
    """
    if not messages:
        raise EmptyMessage("The request has no messages.")
    number = sum(isinstance(part, ImageContent) for m in messages for part in m.parts)
    if number > settings.max_images:
        raise BadRequest(
            f"The conversation has {number} pictures; at most {settings.max_images} are allowed.",
            "Start a new chat, or send fewer pictures.",
        )
    try:
        conversation = Conversation(tuple(_message(message, pictures) for message in messages))
    except ValueError as error:
        raise BadRequest(f"The messages cannot be answered: {error}.") from error
    if answered and conversation.awaits_answer:
        raise EmptyMessage(
            "The last message is no answer.", "Send the conversation up to an assistant's message."
        )
    if not answered and not conversation.awaits_answer:
        raise EmptyMessage("The last message is the assistant's: there is no question to answer.")
    return conversation


def _message(message: ChatMessage, pictures: PictureCache) -> Message:
    parts: list[Part] = []
    for part in message.parts:
        if isinstance(part, ImageContent):
            parts.append(ImagePart(pictures.picture(part.image_url.url)))
        elif part.text or message.role != "user":
            parts.append(TextPart(part.text))
    if not parts:
        raise EmptyMessage("A message has neither text nor a picture.")
    return Message(message.role, tuple(parts))
