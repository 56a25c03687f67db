"""What travels between page, controller and workers: one model per message, unknown keys rejected.

Chat is OpenAI's chat-completions format (https://platform.openai.com/docs/api-reference/chat),
streamed as server-sent events. Our additions are optional, so that any OpenAI client works:

- ``conversation_id``: continue a stored conversation; ``messages`` then holds the new question.
- ``parent_answer_id``: which answer is continued (default: the conversation's head).
- ``regenerate_of``: another answer to the question of this answer; ``messages`` is then empty.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

PERSON_HEADER = "X-Person-Id"
REQUEST_ID_HEADER = "X-Request-Id"


class Wire(BaseModel):
    """Base: immutable, unknown keys rejected."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


class OpenWire(BaseModel):
    """Base for OpenAI's own requests: keys that we do not use are ignored, as its servers do."""

    model_config = ConfigDict(extra="ignore", frozen=True, protected_namespaces=())


# --- chat -----------------------------------------------------------------------------------------


class ImageURL(OpenWire):
    """A picture as ``data:image/...;base64,...``; other schemes are refused, never fetched."""

    url: str


class ImageContent(OpenWire):
    type: Literal["image_url"] = "image_url"
    image_url: ImageURL


class TextContent(OpenWire):
    type: Literal["text"] = "text"
    text: str


Content = Annotated[TextContent | ImageContent, Field(discriminator="type")]


class ChatMessage(OpenWire):
    role: Literal["system", "user", "assistant"]
    content: str | list[Content]

    @property
    def parts(self) -> list[TextContent | ImageContent]:
        """The content as a list of parts; a plain string is one text part."""
        if isinstance(self.content, str):
            return [TextContent(text=self.content)]
        return list(self.content)


class StreamOptions(OpenWire):
    include_usage: bool = False


class Sampling(Wire):
    """How the next token is chosen; stored with every answer."""

    temperature: float = Field(default=0.0, ge=0.0, le=2.0)
    top_p: float = Field(default=1.0, gt=0.0, le=1.0)
    max_tokens: int = Field(default=512, ge=1, le=32768)
    stop: list[str] = Field(default_factory=list, max_length=8)
    seed: int | None = None


class ChatRequest(OpenWire):
    """``POST /v1/chat/completions``, on the controller and on a worker alike."""

    model: str = ""
    messages: list[ChatMessage] = Field(default_factory=list)
    stream: bool = False
    stream_options: StreamOptions | None = None
    temperature: float | None = Field(default=None, ge=0.0, le=2.0)
    top_p: float | None = Field(default=None, gt=0.0, le=1.0)
    max_tokens: int | None = Field(default=None, ge=1, le=32768)
    max_completion_tokens: int | None = Field(default=None, ge=1, le=32768)
    stop: str | list[str] | None = None
    seed: int | None = None
    user: str | None = None
    conversation_id: str | None = None
    parent_answer_id: str | None = None
    regenerate_of: str | None = None

    def sampling(self) -> Sampling:
        """The sampling parameters with defaults filled in."""
        given: dict[str, Any] = {
            "temperature": self.temperature,
            "top_p": self.top_p,
            "max_tokens": self.max_completion_tokens or self.max_tokens,
            "stop": [self.stop] if isinstance(self.stop, str) else self.stop,
            "seed": self.seed,
        }
        return Sampling(**{key: value for key, value in given.items() if value is not None})


class Usage(OpenWire):
    """Token counts: prompt (text and visual tokens together), completion, their sum."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    total_tokens: int = 0


FinishReason = Literal["stop", "length", "cancelled", "error"]


class Delta(OpenWire):
    role: Literal["assistant"] | None = None
    content: str | None = None


class ChunkChoice(OpenWire):
    index: int = 0
    delta: Delta
    finish_reason: FinishReason | None = None


class ChatChunk(OpenWire):
    """One ``data:`` line of a streamed answer. ``id`` names the stored answer (controller)."""

    id: str
    object: Literal["chat.completion.chunk"] = "chat.completion.chunk"
    created: int
    model: str
    choices: list[ChunkChoice]
    usage: Usage | None = None
    conversation_id: str | None = None
    question_id: str | None = None


class AnswerMessage(OpenWire):
    role: Literal["assistant"] = "assistant"
    content: str


class AnswerChoice(OpenWire):
    index: int = 0
    message: AnswerMessage
    finish_reason: FinishReason


class ChatCompletion(OpenWire):
    """The whole answer, not streamed."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: list[AnswerChoice]
    usage: Usage
    conversation_id: str | None = None
    question_id: str | None = None


# --- models and workers ---------------------------------------------------------------------------


class ModelInfo(Wire):
    """A served checkpoint: an entry of ``GET /v1/models`` (OpenAI's keys, then ours)."""

    id: str
    object: Literal["model"] = "model"
    created: int = 0
    owned_by: str = "llava-studio"
    revision: str = ""
    """SHA-256 over the checkpoint's weight files, or the hub commit; stored with each answer."""
    precision: str = "32bit"
    template: str = ""
    """Short name or hash of the chat template in use; stored with each answer."""
    context_length: int = 0
    parameters: int = 0
    sees: str = ""
    """One or two plain sentences: what this model can and cannot see."""
    source: str = ""
    """Folder or hub id it was loaded from."""


class ModelList(Wire):
    object: Literal["list"] = "list"
    data: list[ModelInfo]


class WorkerStatus(Wire):
    """What a worker tells the controller on registering and with each renewal of its lease."""

    worker_id: str
    url: str
    models: list[ModelInfo]
    active: int = 0
    """Requests in work."""
    waiting: int = 0
    """Requests in the queue."""
    draining: bool = False


class Lease(Wire):
    """The controller's reply: renew before ``seconds`` have passed."""

    worker_id: str
    seconds: float


# --- ratings and stored conversations -------------------------------------------------------------

RatingValue = Literal["up", "down", "flag"]
REASONS = ("correct", "clear", "wrong", "invented", "incomplete", "unclear", "offensive", "other")


class RatingRequest(Wire):
    """``POST /api/ratings``. The same person rating the same answer again changes the rating."""

    answer_id: str
    value: RatingValue
    reason: str | None = Field(default=None, max_length=200)
    comment: str | None = Field(default=None, max_length=4000)


class Rating(Wire):
    id: str
    answer_id: str
    person: str
    value: RatingValue
    reason: str | None = None
    comment: str | None = None
    created_at: str
    updated_at: str


class StoredImage(Wire):
    """A stored picture: fetched with ``GET /api/images/{sha256}``."""

    sha256: str
    media_type: str
    width: int
    height: int


class StoredAnswer(Wire):
    id: str
    question_id: str
    text: str
    model: str
    finish_reason: FinishReason | None
    """None while the answer is being written."""
    error: str | None = None
    created_at: str
    prompt_tokens: int = 0
    completion_tokens: int = 0
    first_token_seconds: float | None = None
    total_seconds: float | None = None
    rating: Rating | None = None
    """The asking person's rating."""


class StoredTurn(Wire):
    """A question and all its answers; ``chosen`` is the one on the conversation's current path."""

    question_id: str
    text: str
    images: list[StoredImage]
    created_at: str
    answers: list[StoredAnswer]
    chosen: str | None = None


class StoredConversation(Wire):
    """``GET /api/conversations/{id}``: the current path from the first question to the head."""

    id: str
    title: str
    created_at: str
    updated_at: str
    model: str
    turns: list[StoredTurn]


class HeadRequest(Wire):
    """``POST /api/conversations/{id}/head``: make this answer the end of the current path.

    ``None`` goes back to before the first question. Undo is the parent of the current head.
    Nothing is deleted.
    """

    answer_id: str | None
