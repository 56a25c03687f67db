"""What travels between page, controller and workers: one model per message, unknown keys rejected.

Chat is OpenAI's chat-completions format (https://platform.openai.com/docs/api-reference/chat),
streamed as server-sent events. Our additions are optional, so that any OpenAI client works:

- ``conversation_id``: continue a stored conversation; ``messages`` then holds the new question.
- ``parent_answer_id``: which answer is continued (default: the conversation's head).
- ``regenerate_of``: another answer to the question of this answer; ``messages`` is then empty.
- ``edit_of``: the new question takes the place of this one, as a branch; nothing is overwritten.

A picture that the person has in a conversation already is sent as ``stored:<its SHA-256>``.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationInfo,
    field_validator,
    model_serializer,
)
from pydantic_core import PydanticCustomError

from app.machines import LoadingModel, Machine, ModelCard

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


Temperature = Annotated[float, Field(ge=0.0, le=2.0, allow_inf_nan=False)]
TopP = Annotated[float, Field(gt=0.0, le=1.0, allow_inf_nan=False)]
TopK = Annotated[int, Field(ge=0)]
MinP = Annotated[float, Field(ge=0.0, le=1.0, allow_inf_nan=False)]
RepetitionPenalty = Annotated[float, Field(ge=0.01, le=100.0, allow_inf_nan=False)]
MaxTokens = Annotated[int, Field(ge=1, le=32768)]
Seed = Annotated[int, Field(ge=-(2**63), lt=2**63)]
TopLogprobs = Annotated[int, Field(ge=0, le=20)]
MOST_STOP_STRINGS = 8


class Sampling(Wire):
    """How the next token is chosen; stored with every answer."""

    temperature: Temperature = 0.0
    top_p: TopP = 1.0
    top_k: TopK = 0
    min_p: MinP = 0.0
    repetition_penalty: RepetitionPenalty = 1.0
    max_tokens: MaxTokens = 512
    stop: list[str] = Field(default_factory=list, max_length=MOST_STOP_STRINGS)
    seed: Seed | None = None
    logprobs: bool = False
    top_logprobs: TopLogprobs = 0


class ChatRequest(OpenWire):
    """``POST /v1/chat/completions``, on the controller and on a worker alike."""

    model: str = ""
    messages: list[ChatMessage] = Field(default_factory=list)
    stream: bool = False
    stream_options: StreamOptions | None = None
    temperature: Temperature | None = None
    top_p: TopP | None = None
    top_k: TopK | None = None
    min_p: MinP | None = None
    repetition_penalty: RepetitionPenalty | None = None
    max_tokens: MaxTokens | None = None
    max_completion_tokens: MaxTokens | None = None
    stop: str | list[str] | None = None
    seed: Seed | None = None
    logprobs: bool | None = None
    top_logprobs: TopLogprobs | None = None
    user: str | None = None
    conversation_id: str | None = None
    parent_answer_id: str | None = None
    regenerate_of: str | None = None
    edit_of: str | None = None

    @field_validator("stop")
    @classmethod
    def _few_stop_strings(cls, stop: str | list[str] | None) -> str | list[str] | None:
        if isinstance(stop, list) and len(stop) > MOST_STOP_STRINGS:
            counts = {"most": MOST_STOP_STRINGS, "given": len(stop)}
            raise PydanticCustomError("too_many", "at most {most}, not {given}", counts)
        return stop

    @field_validator("top_logprobs")
    @classmethod
    def _with_logprobs(cls, number: int | None, info: ValidationInfo) -> int | None:
        if number and not info.data.get("logprobs"):
            raise PydanticCustomError("alone", "only together with logprobs: true")
        return number

    def sampling(self) -> Sampling:
        """The sampling parameters with defaults filled in."""
        given: dict[str, Any] = {key: getattr(self, key) for key in Sampling.model_fields}
        given["max_tokens"] = self.max_completion_tokens or self.max_tokens
        given["stop"] = [self.stop] if isinstance(self.stop, str) else self.stop
        return Sampling(**{key: value for key, value in given.items() if value is not None})


class ExplainedWord(Wire):
    """A word of an answer: ``share`` of its attention that went to pictures (0..1), and for each
    picture a square grid, rows from the top, of 0 to 1."""

    text: str
    share: float
    grids: list[list[list[float]]]


class Explanation(Wire):
    """The answer to ``POST /v1/explanations``. ``views``: what the grids over each picture show of
    it, as left, top, right, bottom in fractions of it; below 0 and above 1 where it is padded."""

    model: str
    views: list[tuple[float, float, float, float]] = Field(default_factory=list)
    words: list[ExplainedWord]


class Usage(OpenWire):
    """Token counts: prompt (text and visual tokens together), completion, their sum."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    total_tokens: int = 0


FinishReason = Literal["stop", "length", "cancelled", "error"]


class TopLogprob(OpenWire):
    """A token and how likely it was, before temperature and filters: a natural logarithm.

    ``bytes``: what it adds to the answer in UTF-8, null for tokens that add nothing.
    """

    token: str
    logprob: float
    bytes: list[int] | None = None

    @model_serializer(mode="wrap")
    def _keep_null(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """OpenAI's clients expect ``bytes`` to be there, although nulls are left out elsewhere."""
        return {**write(self), "bytes": self.bytes}


class TokenLogprob(TopLogprob):
    """A chosen token, and the most likely ones at its step, which need not include it."""

    top_logprobs: list[TopLogprob] = Field(default_factory=list)


class ChoiceLogprobs(OpenWire):
    """One entry for each token, the one that ended the answer included."""

    content: list[TokenLogprob]


class Delta(OpenWire):
    role: Literal["assistant"] | None = None
    content: str | None = None


class ChunkChoice(OpenWire):
    index: int = 0
    delta: Delta
    logprobs: ChoiceLogprobs | None = None
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
    logprobs: ChoiceLogprobs | None = None
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
    device: str = ""
    memory_bytes: int = 0
    """Of its weights as they are loaded."""
    card: ModelCard | None = None


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
    machine: Machine | None = None
    loading: list[LoadingModel] = Field(default_factory=list)


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
    precision: str = ""
    """Of the weights that wrote it: ``32bit``, ``16bit``, ``8bit``, ``4bit``."""
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
    parent_answer_id: str | None = None
    """The answer after which it was asked; None at the start."""
    siblings: list[str] = Field(default_factory=list)
    """All questions asked at this place, itself included: its edited versions, the oldest first."""


class StoredConversation(Wire):
    """``GET /api/conversations/{id}``: the current path from the first question to the head."""

    id: str
    title: str
    created_at: str
    updated_at: str
    model: str
    pinned: bool = False
    turns: list[StoredTurn]


class HeadRequest(Wire):
    """``POST /api/conversations/{id}/head``: make this answer the end of the current path.

    ``None`` goes back to before the first question. Undo is the parent of the current head.
    Nothing is deleted.
    """

    answer_id: str | None
