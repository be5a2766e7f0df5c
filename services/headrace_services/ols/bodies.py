"""The bodies of requests, and upstream's texts of refusals.

Source: openshift/lightspeed-service (ols/app/models).
"""

import json
from enum import StrEnum
from typing import Annotated, Any, Final, Self, TypeVar
from uuid import UUID

import orjson
from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from headrace.runtime.untrusted import Unreadable, check_json
from headrace_services.ols.refusals import Problem

MAX_QUERY: Final = 32_000
MAX_ATTACHMENTS: Final = 10
MAX_CONTENT: Final = 100_000
# A question with its attachments has a few dozen values.
MAX_VALUES: Final = 2_000
TEXT: Final = "text/plain"
JSON: Final = "application/json"

B = TypeVar("B", bound=BaseModel)


class Mode(StrEnum):
    """The kind of answer."""

    ASK = "ask"
    TROUBLESHOOTING = "troubleshooting"


class Attachment(BaseModel):
    """An attachment of a question."""

    attachment_type: str
    content_type: str
    content: Annotated[str, Field(max_length=MAX_CONTENT)]


class LLMRequest(BaseModel):
    """A question."""

    model_config = ConfigDict(extra="forbid")

    query: Annotated[str, Field(max_length=MAX_QUERY)]
    conversation_id: str | None = None
    provider: str | None = None
    model: str | None = None
    system_prompt: str | None = None
    attachments: Annotated[list[Attachment], Field(max_length=MAX_ATTACHMENTS)] | None = None
    media_type: str | None = TEXT
    # The value is ignored, because there are no tools to send it to.
    mcp_headers: dict[str, dict[str, str]] | None = None
    mode: Mode = Mode.ASK

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.model and not self.provider:
            raise ValueError("LLM provider must be specified when the model is specified.")
        if self.provider and not self.model:
            raise ValueError("LLM model must be specified when the provider is specified.")
        if self.media_type not in {TEXT, JSON}:
            raise ValueError(f"Invalid media type: '{self.media_type}', must be {TEXT} or {JSON}")
        return self


class FeedbackRequest(BaseModel):
    """Feedback on an answer."""

    conversation_id: str
    user_question: str
    llm_response: str
    sentiment: int | None = None
    user_feedback: str | None = None

    @field_validator("conversation_id")
    @classmethod
    def _is_id(cls, value: str) -> str:
        if not is_uuid(value):
            raise ValueError(f"Improper conversation ID {value}")
        return value

    @field_validator("sentiment")
    @classmethod
    def _is_sentiment(cls, value: int | None) -> int | None:
        if value not in {-1, 1, None}:
            raise ValueError(f"Improper value {value}, needs to be -1 or 1")
        return value

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.sentiment is None and self.user_feedback is None:
            raise ValueError("Either 'sentiment' or 'user_feedback' must be set")
        return self


def is_uuid(text: str) -> bool:
    """Return whether Python's `UUID` accepts the text."""
    try:
        UUID(text)
    except ValueError:
        return False
    return True


def parsed(kind: type[B], request: web.Request, body: bytes) -> B:
    """Read a body like FastAPI; raises a `Problem` with FastAPI's 422."""
    if not body:
        missing = {"type": "missing", "loc": ["body"], "msg": "Field required", "input": None}
        raise Problem(422, [missing])
    # Like FastAPI, treat a body with another content type as text, and one without a content type as JSON.
    value = _decoded(body) if _is_json(request) else body.decode(errors="replace")
    try:
        return kind.model_validate(value, from_attributes=True)
    except ValidationError as error:
        raise Problem(422, [_shown(item) for item in error.errors(include_url=False)]) from None


def _is_json(request: web.Request) -> bool:
    if "Content-Type" not in request.headers:
        return True
    kind, _, subtype = request.content_type.partition("/")
    return kind == "application" and (subtype == "json" or subtype.endswith("+json"))


def _decoded(body: bytes) -> Any:
    try:
        check_json(body, max_values=MAX_VALUES)
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        found = _as_the_standard_library_says(body) or error
        raise _no_json(found.pos, found.msg) from None
    except Unreadable as error:
        raise _no_json(0, f"The body is {error}") from None


def _no_json(position: int, reason: str) -> Problem:
    wrong = {"type": "json_invalid", "loc": ["body", position], "msg": "JSON decode error", "input": {}}
    return Problem(422, [wrong | {"ctx": {"error": reason}}])


def _as_the_standard_library_says(body: bytes) -> json.JSONDecodeError | None:
    try:
        json.loads(body.decode(errors="replace"))
    except json.JSONDecodeError as error:
        return error
    except (RecursionError, ValueError):
        # ValueError: an integer has more digits than Python parses.
        return None
    # Python accepts NaN and lone surrogates, which later services refuse.
    return None


def _shown(item: Any) -> dict[str, Any]:
    shown = {key: item[key] for key in ("type", "loc", "msg", "input")}
    shown["loc"] = ["body", *item["loc"]]
    if "ctx" in item:
        shown["ctx"] = {
            name: {} if isinstance(value, Exception) else value for name, value in item["ctx"].items()
        }
    return shown
