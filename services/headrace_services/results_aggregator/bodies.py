"""The bodies of requests: how each is described and read. Every refusal is 400 with upstream's text."""

from typing import Any, Final

from aiohttp import web

from headrace.runtime.untrusted import Unreadable, load_json
from headrace.web.operations import Body
from headrace.web.schemas import STORED_TEXT, UUID, array, nullable, record
from headrace_services.results_aggregator.parameters import (
    BAD_SELECTOR,
    MAX_CLUSTERS,
    SELECTOR_SCHEMA,
    VOTE,
    Rule,
    checked_clusters,
    parse_selector,
)
from headrace_services.results_aggregator.refusals import bad, invalid

MAX_BODY_BYTES: Final = 256 << 10
# A list of clusters is the longest.
MAX_VALUES: Final = 20_000
MAX_DEPTH: Final = 16

_REQUIRED: Final = object()
_NOTHING: Final = object()
_CLUSTERS: Final = array(UUID, maxItems=MAX_CLUSTERS)

CLUSTER_LIST: Final = Body({"oneOf": [_CLUSTERS, record(clusters=_CLUSTERS)]})
RATING: Final = Body(record(rule=SELECTOR_SCHEMA, rating=VOTE))


def text_body(name: str, max_bytes: int, *, is_required: bool = True) -> Body:
    """A body that is an object with one text."""
    text = nullable(STORED_TEXT) | {
        "maxLength": max_bytes,
        "description": f"at most {max_bytes} bytes in UTF-8",
    }
    return Body(record((), **{name: text}), is_required=is_required)


async def read_json(request: web.Request, *, otherwise: Any = _REQUIRED) -> Any:
    """The body, or ``otherwise`` where there is none. Raises 400, 408, 413."""
    body = await request.read()
    if not body:
        if otherwise is _REQUIRED:
            raise bad("client didn't provide request body")
        return otherwise
    try:
        return load_json(body, max_values=MAX_VALUES, max_depth=MAX_DEPTH)
    except Unreadable as error:
        raise bad(f"the body is {error}") from None


async def read_clusters(request: web.Request, *, required: bool = True) -> tuple[str, ...] | None:
    """A list of clusters, bare or as ``{"clusters": [...]}``. Raises 400."""
    body = await read_json(request, otherwise=_REQUIRED if required else _NOTHING)
    if body is _NOTHING:
        return None
    values = body.get("clusters") if isinstance(body, dict) else body
    if not isinstance(values, list | None):
        raise bad("bad type in json data")
    # Null is absence, in the list as around it.
    return checked_clusters(["" if value is None else value for value in values or ()])


async def read_text(
    request: web.Request, name: str, *, called: str, max_bytes: int, required: bool = True
) -> str:
    """The text ``name`` of an object, ``""`` where it is not there. Raises 400."""
    body = _object(await read_json(request, otherwise=_REQUIRED if required else {}))
    value = "" if body.get(name) is None else body[name]
    if not isinstance(value, str):
        raise bad("bad type in json data")
    if len(value.encode()) > max_bytes:
        raise invalid(name, value, f"{called} is longer than {max_bytes} bytes")
    if "\0" in value:
        raise invalid(name, value.replace("\0", ""), f"{called} contains a NUL character")
    return value


async def read_rating(request: web.Request) -> tuple[Rule, int]:
    """``{"rule": "rule|KEY", "rating": -1}``; no rating is neither up nor down. Raises 400."""
    body = _object(await read_json(request))
    name, rating = (
        missing if body.get(key) is None else body[key] for key, missing in (("rule", ""), ("rating", 0))
    )
    if not isinstance(name, str) or not isinstance(rating, int) or isinstance(rating, bool):
        raise bad("bad type in json data")
    if "|" not in name:
        raise invalid("rule", name, BAD_SELECTOR)
    if rating not in {-1, 0, 1}:
        raise invalid("rating", rating, "-1, 0 or 1 expected")
    return parse_selector("rule", name), rating


def _object(body: Any) -> dict[str, Any]:
    """The body's object; null is an empty one. Raises 400."""
    if not isinstance(body, dict | None):
        raise bad("bad type in json data")
    return body or {}
