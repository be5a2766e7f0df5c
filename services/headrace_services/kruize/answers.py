"""Bodies of answers, refusals, and reading what a request says."""

import asyncio
import json
import re
from datetime import UTC, datetime
from functools import partial
from http import HTTPStatus
from typing import Any, Final

import aiohttp
import orjson
from aiohttp import web

from headrace.runtime.untrusted import Unreadable, load_json
from headrace.web.errors import Refusal, json_response
from headrace.web.parameters import Custom, Parameter
from headrace.web.schemas import TEXT, Json

JSON_ERROR: Final = "Failed to parse the JSON. Please check the input payload "
BAD_TIMESTAMP: Final = 'Given timestamp - " {} " is not a valid timestamp format'
NO_EXPERIMENT: Final = "Not Found: experiment_name does not exist: "

# A hundred records of a hundred containers each.
_MAX_VALUES: Final = 1_500_000
# What is stored is written again.
_MAX_DEPTH: Final = 32
# Longer ones take so long to read that other requests should not wait for them.
_LONG_BYTES: Final = 1 << 20
_SHOWN_CHARACTERS: Final = 100
_TIMESTAMP: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{1,6}Z")


def error_body(status: int, reason: str) -> dict[str, Any]:
    """What every error looks like."""
    return {"message": reason, "httpcode": status, "documentationLink": "", "status": "ERROR"}


class Refused(Refusal):
    """A request that is answered with an error; ``data`` says which parts failed."""

    def __init__(self, message: str, status: int = HTTPStatus.BAD_REQUEST, data: object = None) -> None:
        # Of every record, however many: a client reads which ones have to be sent again.
        whole = error_body(status, message) | {"data": orjson.Fragment(orjson.dumps(data))}
        super().__init__(status, message, body=None if data is None else whole)


def named(value: Any) -> str:
    """A value of a body in an error's text, in JSON's words, cut."""
    text = value if isinstance(value, str) else json.dumps(value)
    return text[:_SHOWN_CHARACTERS]


def success(message: str, status: int = HTTPStatus.CREATED) -> web.Response:
    """What every success without data looks like."""
    body = {"message": message, "httpcode": status, "documentationLink": "", "status": "SUCCESS"}
    return json_response(body, status)


async def read_json(request: web.Request, *, max_depth: int = _MAX_DEPTH) -> Any:
    """The body, whatever its content type says."""
    try:
        body = await request.read()
    except (web.RequestPayloadError, aiohttp.http_exceptions.HttpProcessingError) as error:
        raise Refused(JSON_ERROR) from error
    # PostgreSQL has no text with it, and nothing that is measured has it in its name.
    if b"\\u0000" in body:
        raise Refused(JSON_ERROR)
    load = partial(load_json, body, max_values=_MAX_VALUES, max_depth=max_depth)
    try:
        return await asyncio.to_thread(load) if len(body) > _LONG_BYTES else load()
    except Unreadable:
        raise Refused(JSON_ERROR) from None


def text_parameter(name: str, schema: Json = TEXT, *, is_required: bool = False) -> Parameter[str | None]:
    """A query parameter, read as text that can be stored and shown."""
    return Parameter(name, Custom(schema, _storable), None, is_required=is_required, takes_empty=True)


def parse_moment(text: str) -> datetime:
    """A timestamp cut to milliseconds; raises ``ValueError`` for any other form."""
    if not _TIMESTAMP.fullmatch(text):
        raise ValueError(text)
    whole, _, fraction = text[:-1].partition(".")
    microsecond = int(f"{fraction:0<3.3}") * 1000
    return datetime.fromisoformat(whole).replace(microsecond=microsecond, tzinfo=UTC)


def moment_parameter(text: str) -> datetime:
    """The same for a parameter."""
    try:
        return parse_moment(text)
    except ValueError:
        raise Refused(BAD_TIMESTAMP.format(text)) from None


def _storable(text: str) -> str:
    return text.encode(errors="replace").decode().replace("\0", "\ufffd")
