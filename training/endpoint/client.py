"""One model behind an OpenAI-compatible URL: a request goes out, a whole reply comes back.

One attempt, no more: waiting and asking again is :mod:`training.endpoint.asking`'s. Replies are
streamed, so that the time limit is one of silence and not of length.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from openai import (
    APIConnectionError,
    APIError,
    APIStatusError,
    APITimeoutError,
    AsyncOpenAI,
    AsyncStream,
)
from openai.types.chat import ChatCompletionChunk

from training.endpoint.errors import Refusal, Trouble, Unsuitable, WrongKey
from training.endpoint.request import Reply, Request, Sampling, Usage, text_tokens

_NO_MONEY = ("insufficient_quota", "billing_hard_limit_reached", "billing_not_active")
_PASSING = (408, 409, 425, 429)
"""Besides 5xx, the statuses after which asking again may help."""


@dataclass(frozen=True)
class Address:
    """Where a model answers. ``silence`` is the longest pause in a reply, in seconds."""

    url: str
    model: str
    key: str = field(default="none", repr=False)
    silence: float = 120.0


class Endpoint:
    """A model at an address, asked with one sampling."""

    def __init__(self, address: Address, sampling: Sampling) -> None:
        self.address, self.sampling = address, sampling
        self._client = AsyncOpenAI(
            base_url=address.url, api_key=address.key, max_retries=0, timeout=address.silence
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def reply(self, request: Request) -> Reply:
        """The reply to one attempt, whole.

        Raises :class:`Trouble` where another attempt may help, :class:`Refusal` where it would
        not, and an ``EndpointError`` where no other request would fare better either.
        """
        heard = _Heard()
        started = time.monotonic()
        try:
            async for chunk in await self._open(request):
                heard.take(chunk)
        except APIStatusError as error:
            raise self._of_status(error) from error
        except APITimeoutError as error:
            silence = f"silence for {self.address.silence:g} seconds"
            raise Trouble(silence, text=heard.text) from error
        except APIConnectionError as error:
            raise Trouble(_cause(error), connected=_connected(error), text=heard.text) from error
        except APIError as error:  # told in the middle of a stream, without a status
            raise Trouble(f"an error in the reply: {error.message}", text=heard.text) from error
        except ValueError as error:
            raise Trouble(f"what came is not the protocol: {error}", text=heard.text) from error
        if not heard.finish:
            raise Trouble("the reply was cut off", text=heard.text)
        return heard.reply(request, time.monotonic() - started)

    async def _open(self, request: Request) -> AsyncStream[ChatCompletionChunk]:
        # Messages go into the body as they are: the client would look at each key of each part.
        opened = await self._client.chat.completions.create(
            model=self.address.model,
            messages=[],
            stream=True,
            stream_options={"include_usage": True},
            extra_body={"messages": request.messages, **self.sampling.body()},
        )
        return opened

    def _of_status(self, error: APIStatusError) -> Exception:
        """What an HTTP status means for the attempt, the request or the job."""
        said = f"{error.status_code}: {_said(error)}"
        if error.status_code in (401, 402, 403) or error.code in _NO_MONEY:
            return WrongKey(
                f"{self.address.url} refuses the key with {said}",
                "Put a key that may use this model, and whose account can pay, into the "
                "environment variable that --key-env names, and start again.",
            )
        if error.status_code == 404:
            return Unsuitable(
                f"{self.address.url} answers {said}",
                f"Check the URL, which mostly ends in /v1, and the model's name "
                f"{self.address.model!r}.",
            )
        if error.status_code in _PASSING or error.status_code >= 500:
            wait = retry_after(dict(error.response.headers), datetime.now(UTC))
            return Trouble(said, wait, limited=error.status_code == 429)
        return Refusal(said)


@dataclass
class _Heard:
    """A reply as it comes in."""

    pieces: list[str] = field(default_factory=list)
    finish: str = ""
    usage: Usage | None = None
    model: str = ""
    begun: bool = False

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    def take(self, chunk: ChatCompletionChunk) -> None:
        self.begun = True
        self.model = chunk.model or self.model
        for choice in chunk.choices or ():
            if choice.delta and choice.delta.content:
                self.pieces.append(choice.delta.content)
            self.finish = choice.finish_reason or self.finish
        if chunk.usage:
            self.usage = Usage(chunk.usage.prompt_tokens, chunk.usage.completion_tokens)

    def reply(self, request: Request, seconds: float) -> Reply:
        usage = self.usage or estimate(request, self.text)
        return Reply(self.text, self.finish, usage, self.model, round(seconds, 3))


def estimate(request: Request, text: str) -> Usage:
    """What a reply has cost in tokens, where the endpoint did not tell."""
    return Usage(request.tokens(), text_tokens(text), estimated=True)


def _said(error: APIStatusError) -> str:
    """The endpoint's own words on one line, not too many of them."""
    body = error.body
    words = body.get("message") if isinstance(body, dict) else None
    return " ".join(str(words or error.message).split())[:300]


def _connected(error: APIConnectionError) -> bool:
    return type(error.__cause__).__name__ not in ("ConnectError", "ConnectTimeout")


def _cause(error: APIConnectionError) -> str:
    cause = error.__cause__
    return f"{error.message} {type(cause).__name__}: {cause}" if cause else error.message


def retry_after(headers: dict[str, str], now: datetime) -> float | None:
    """Seconds to wait as the endpoint asks: ``retry-after-ms``, or ``Retry-After`` as seconds or
    as a date (RFC 9110, 10.2.3). None where it says nothing that can be read."""
    lower = {name.lower(): value.strip() for name, value in headers.items()}
    for name, unit in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        try:
            return max(float(lower[name]) / unit, 0.0)
        except (KeyError, ValueError):
            continue
    try:
        date = parsedate_to_datetime(lower["retry-after"])
    except (KeyError, ValueError):
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=UTC)
    return max((date - now).total_seconds(), 0.0)
