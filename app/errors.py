"""Everything that can go wrong between a person and a model, as one tree.

    StudioError
    +-- BadRequest (400)        the request itself is wrong; sending it again will not help
    |   +-- BadPicture              not a picture, cut off, too large, unreadable
    |   +-- EmptyMessage            nothing was asked
    |   +-- ContextTooLong          the conversation does not fit into the model
    +-- NotAllowed (401)        the shared secret or the origin is wrong
    |   +-- LoginRequired             nobody has said who they are
    +-- NotFound (404)          no such model, conversation, answer
    |   +-- UnknownModel
    +-- Conflict (409)          not in the state that this is in now
    |   +-- OneModel                a battle needs two models
    |   +-- BattleRunning           both answers have to end first
    |   +-- VoteClosed              the next turn has begun, the vote stays as it is
    +-- TooLarge (413)          more bytes than the limit
    +-- TooMany (429)           more than one person may ask for, or try
    +-- Busy (503)              try again in a moment
    |   +-- NoWorker                no worker serves this model right now
    |   +-- DatabaseBusy            the database is locked
    |   +-- OutOfMemory             the device has no room for this request
    +-- WorkerLost (502)        the worker went away in the middle of an answer; the text is kept
    +-- StorageFailed (507)     the data folder cannot be written, or the disk is full

On the wire an error is OpenAI's shape with our two additions::

    {"error": {"message": "...", "type": "bad_picture", "code": "bad_picture",
               "param": null, "remedy": "what the person can do", "request_id": "..."}}
"""

from __future__ import annotations

from typing import Any, ClassVar


class StudioError(Exception):
    """Base of all errors shown to people: one sentence of what happened, one of what to do.

    ``message`` says what happened, with the value; ``remedy`` says the next step.
    """

    code: ClassVar[str] = "internal_error"
    status: ClassVar[int] = 500
    default_remedy: ClassVar[str] = "Try again; if it stays, look into the log of the server."
    retry_after: float | None = None
    """Seconds after which trying again makes sense, where that is known."""

    def __init__(self, message: str, remedy: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy or self.default_remedy

    def to_wire(self, request_id: str | None = None) -> dict[str, Any]:
        """The JSON body of the error, in OpenAI's shape."""
        return {
            "error": {
                "message": self.message,
                "type": self.code,
                "code": self.code,
                "param": None,
                "remedy": self.remedy,
                "request_id": request_id,
            }
        }


class BadRequest(StudioError):
    """The request itself is wrong."""

    code = "bad_request"
    status = 400
    default_remedy = "Correct the request and send it again."


class BadPicture(BadRequest):
    """A picture that cannot be read."""

    code = "bad_picture"
    default_remedy = "Send a PNG, JPEG, WebP, HEIC, GIF or BMP picture."


class EmptyMessage(BadRequest):
    """Nothing was asked."""

    code = "empty_message"
    default_remedy = "Type a question, then send."


class ContextTooLong(BadRequest):
    """The conversation does not fit into the model's context."""

    code = "context_too_long"
    default_remedy = "Start a new chat, or send a shorter message or fewer pictures."


class NotAllowed(StudioError):
    """The shared secret or the origin is wrong."""

    code = "not_allowed"
    status = 401
    default_remedy = "Start controller and worker with the same LLAVA_STUDIO_SECRET."


class LoginRequired(NotAllowed):
    """Nobody has said who they are."""

    code = "login_required"
    default_remedy = "Log in and try again."


class NotFound(StudioError):
    """There is no such thing."""

    code = "not_found"
    status = 404
    default_remedy = "Reload the page; it may have been deleted."


class UnknownModel(NotFound):
    """No model of this name is served."""

    code = "unknown_model"
    default_remedy = "Choose one of the models that GET /v1/models lists."


class Conflict(StudioError):
    """It cannot be done in the state that things are in now."""

    code = "conflict"
    status = 409
    default_remedy = "Reload the page to see how things stand."


class OneModel(Conflict):
    """A battle needs two models, and fewer are served."""

    code = "one_model"
    default_remedy = (
        "Serve a second one: python app.py --model FIRST --model SECOND, or another worker: "
        "python app.py worker --model SECOND."
    )


class BattleRunning(Conflict):
    """Both answers have to end first."""

    code = "battle_running"
    default_remedy = "Wait until both answers have ended, or stop them."


class VoteClosed(Conflict):
    """A vote cannot be changed any more."""

    code = "vote_closed"
    default_remedy = "Your vote is stored as it was. Start another battle to vote again."


class TooLarge(StudioError):
    """More bytes than the limit allows."""

    code = "too_large"
    status = 413
    default_remedy = "Send a smaller picture."


class TooMany(StudioError):
    """More than one person may ask for."""

    code = "too_many"
    status = 429
    default_remedy = "Wait a moment and send again."

    def __init__(
        self, message: str, remedy: str | None = None, retry_after: float | None = None
    ) -> None:
        super().__init__(message, remedy)
        self.retry_after = retry_after


class Busy(StudioError):
    """Not now."""

    code = "busy"
    status = 503
    default_remedy = "Wait a moment and send again."


class NoWorker(Busy):
    """No worker serves this model at the moment."""

    code = "no_worker"
    default_remedy = "Wait some seconds for a worker to return, or start one: python app.py worker."


class DatabaseBusy(Busy):
    """The database is locked by somebody else."""

    code = "database_busy"


class OutOfMemory(Busy):
    """The device has no room for this request."""

    code = "out_of_memory"
    default_remedy = "Shorten the conversation, or serve the model with --precision 4bit."


class WorkerLost(StudioError):
    """The worker went away in the middle of an answer; what was written is kept."""

    code = "worker_lost"
    status = 502
    default_remedy = "What was written is kept. Press regenerate in some seconds."


class StorageFailed(StudioError):
    """The data folder cannot be written."""

    code = "storage_failed"
    status = 507
    default_remedy = "Free some disk space or choose another folder with --data-dir."


def _leaves(kind: type[StudioError]) -> dict[str, type[StudioError]]:
    found = {kind.code: kind}
    for child in kind.__subclasses__():
        found.update(_leaves(child))
    return found


def from_wire(body: dict[str, Any]) -> StudioError:
    """The exception that :meth:`StudioError.to_wire` wrote, as the same class where it is known."""
    error = body.get("error") or {}
    kind = _leaves(StudioError).get(str(error.get("code")), StudioError)
    return kind(str(error.get("message") or "unknown error"), error.get("remedy"))
