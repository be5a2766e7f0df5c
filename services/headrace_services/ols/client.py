"""A client for chat completions of any OpenAI-compatible endpoint."""

import io
import re
import time
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import aiohttp
import orjson

from headrace.runtime.answers import is_transient
from headrace.runtime.errors import Retryable
from headrace.runtime.logging import get_logger
from headrace.runtime.retries import RetryPolicy, retrying
from headrace_services.ols.llm import LlmRefused, LlmUnavailable, PromptTooLong, Usage
from headrace_services.ols.olsconfig import Model, Provider
from headrace_services.ols.prompts import Message

_log = get_logger(__name__)

_CONNECT_SECONDS: Final = 5.0
_CODE: Final = re.compile(r"[a-zA-Z0-9_.-]{1,64}")
_MAX_ANSWER_BYTES: Final = 4 << 20
_MAX_ERROR_BYTES: Final = 64 << 10
_TOO_LONG: Final = ("context_length_exceeded", "maximum context length")
_MIN_ATTEMPT_SECONDS: Final = 0.05
# OpenAI's newer models accept only this name, other endpoints only the old one.
_LENGTH: Final = {"openai": "max_completion_tokens"}


@dataclass(frozen=True)
class Limits:
    """The limits of an answer: its duration, the longest silence, the number of attempts."""

    seconds: float
    idle_seconds: float
    attempts: int


class OpenAi:
    """One model of an endpoint."""

    def __init__(
        self, session: aiohttp.ClientSession, provider: Provider, model: Model, key: str, limits: Limits
    ) -> None:
        self._session = session
        self._url = f"{provider.endpoint}/chat/completions"
        self._key = key
        self._limits = limits
        self._body: dict[str, Any] = {"model": model.name}
        if most := model.parameters.max_tokens_for_response:
            self._body[_LENGTH.get(provider.type, "max_tokens")] = most

    async def complete(self, messages: Sequence[Message]) -> tuple[str, Usage]:
        """Return the whole answer; a truncated one is requested again."""
        deadline = self._deadline()

        async def attempt() -> tuple[str, Usage]:
            response = await self._begin(messages, stream=False, deadline=deadline)
            try:
                return _completion(await self._read(response))
            finally:
                response.release()

        return await retrying(self._policy, attempt)

    async def stream(self, messages: Sequence[Message]) -> AsyncGenerator[str | Usage, None]:
        """Yield the pieces. A truncated answer cannot be taken back, so it is not requested again."""
        deadline = self._deadline()
        response = await retrying(self._policy, lambda: self._begin(messages, stream=True, deadline=deadline))
        try:
            if response.content_type == "application/json":
                # The endpoint answered without streaming.
                text, usage = _completion(await self._read(response))
                yield text
                yield usage
                return
            async for piece in self._pieces(response):
                yield piece
        finally:
            response.close()

    @property
    def _policy(self) -> RetryPolicy:
        return RetryPolicy(attempts=self._limits.attempts, budget_seconds=self._limits.seconds)

    def _deadline(self) -> float:
        return time.monotonic() + self._limits.seconds

    async def _begin(
        self, messages: Sequence[Message], *, stream: bool, deadline: float
    ) -> aiohttp.ClientResponse:
        """Begin a request; return its response, which has the status 200."""
        headers = {"Content-Type": "application/json"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        left = max(deadline - time.monotonic(), _MIN_ATTEMPT_SECONDS)
        timeout = aiohttp.ClientTimeout(
            total=left, sock_connect=_CONNECT_SECONDS, sock_read=self._limits.idle_seconds
        )
        body = orjson.dumps({**self._body, "messages": messages, "stream": stream})
        try:
            response = await self._session.post(
                self._url, data=io.BytesIO(body), headers=headers, timeout=timeout, allow_redirects=False
            )
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise _unavailable(error) from None
        if response.status == 200:
            return response
        try:
            text = (await self._read(response, _MAX_ERROR_BYTES)).decode(errors="replace")
        except LlmRefused:
            text = ""
        finally:
            response.close()
        raise self._failure(response.status, text)

    def _failure(self, status: int, text: str) -> Exception:
        """Return the meaning of an error answer. Its text may repeat a key or a question, so it is never shown."""
        _log.warning("llm_refuses", status=status, code=_code(text))
        cause = f"the LLM answered {status}"
        if is_transient(status):
            return LlmUnavailable(cause)
        if any(words in text for words in _TOO_LONG):
            return PromptTooLong(cause)
        return LlmRefused(cause)

    async def _read(self, response: aiohttp.ClientResponse, most: int = _MAX_ANSWER_BYTES) -> bytes:
        pieces, size = [], 0
        try:
            async for piece in response.content.iter_any():
                size += len(piece)
                if size > most:
                    raise LlmRefused(f"the LLM sent an answer of more than {most} bytes")
                pieces.append(piece)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise _unavailable(error) from None
        return b"".join(pieces)

    async def _pieces(self, response: aiohttp.ClientResponse) -> AsyncGenerator[str | Usage, None]:
        """Yield the pieces from server-sent events; raises `LlmUnavailable` if their end is missing."""
        size, finished = 0, False
        try:
            async for line in response.content:
                size += len(line)
                if size > _MAX_ANSWER_BYTES:
                    raise LlmRefused(f"the LLM sent an answer of more than {_MAX_ANSWER_BYTES} bytes")
                if not line.startswith(b"data:"):
                    continue
                data = line[5:].strip()
                if data == b"[DONE]":
                    return
                event = _json(data)
                text, ended = _delta(event)
                finished = finished or ended
                if text:
                    yield text
                if isinstance(event.get("usage"), dict):
                    yield _usage(event)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise _unavailable(error) from None
        except ValueError as error:
            raise LlmRefused("the LLM sent an event that is too long") from error
        if not finished:
            raise LlmUnavailable("the LLM's answer was truncated")


def _code(text: str) -> str:
    """Return the error code of an OpenAI answer, ``""`` without one."""
    try:
        found = orjson.loads(text)["error"]["code"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return ""
    return found if isinstance(found, str) and _CODE.fullmatch(found) else ""


def _unavailable(error: BaseException) -> Retryable:
    return LlmUnavailable(f"the LLM does not answer: {type(error).__name__}")


def _json(data: bytes) -> dict[str, Any]:
    try:
        found = orjson.loads(data)
    except orjson.JSONDecodeError:
        found = None
    if not isinstance(found, dict):
        raise LlmRefused("the LLM's answer is not a chat completion")
    if isinstance(found.get("error"), dict):
        raise LlmUnavailable("the LLM answered with an error")
    return found


def _choice(event: dict[str, Any], part: str) -> tuple[Any, Any]:
    """Return the text of the first choice, and the reason of its end."""
    choices = event.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    if not isinstance(first, dict):
        return None, None
    said = first.get(part)
    return (said.get("content") if isinstance(said, dict) else None), first.get("finish_reason")


def _delta(event: dict[str, Any]) -> tuple[str, bool]:
    text, reason = _choice(event, "delta")
    return (text if isinstance(text, str) else ""), reason is not None


def _completion(data: bytes) -> tuple[str, Usage]:
    body = _json(data)
    text, _ = _choice(body, "message")
    if not isinstance(text, str):
        raise LlmRefused("the LLM's answer contains no text")
    return text, _usage(body)


def _usage(body: dict[str, Any]) -> Usage:
    usage = body.get("usage")
    usage = usage if isinstance(usage, dict) else {}
    counts = (usage.get(name) for name in ("prompt_tokens", "completion_tokens"))
    return Usage(*(value if isinstance(value, int) and value >= 0 else None for value in counts))
