"""What the routes share: the id in a path, the envelope of a list."""

from typing import Any, Final

from aiohttp import web

from headrace.web.errors import json_response
from headrace.web.pages import page_links
from headrace.web.parameters import BadParameter, Integer, Parameter
from headrace.web.schemas import COUNT, TEXT, Json, array, record
from headrace_services.sources_api import filters
from headrace_services.sources_api.bodies import MAX_ID
from headrace_services.sources_api.errors import Invalid

ID: Final = Parameter("id", Integer(1, MAX_ID), 0, where="path")


def page_of(item: Json) -> Json:
    """The schema of a list's envelope."""
    return record(
        data=array(item),
        meta=record(count=COUNT, limit=COUNT, offset=COUNT),
        links=record(("first", "last"), first=TEXT, last=TEXT, prev=TEXT, next=TEXT),
    )


def page_response(
    request: web.Request, listing: filters.Listing, count: int, data: list[dict[str, Any]]
) -> web.Response:
    """The envelope of every list."""
    return json_response(
        {
            "data": data,
            "meta": {"count": count, "limit": listing.limit, "offset": listing.offset},
            "links": page_links(
                request.path.rstrip("/"),
                request.query.items(),
                count=count,
                limit=listing.limit,
                offset=listing.offset,
                previous="prev",
            ),
        }
    )


def row_id_of(request: web.Request) -> int:
    """The path's id; raises `Invalid`."""
    try:
        return ID.read(request.match_info)
    except BadParameter:
        raise Invalid("the ID must be a positive whole number") from None
