"""The envelope of every list."""

from typing import Any

from aiohttp import web

from headrace.web.errors import json_response
from headrace.web.pages import page_links
from headrace.web.schemas import COUNT, TEXT, Json, array, record
from headrace_services.sources_api.parameters import Listing


def page_of(item: Json) -> Json:
    """Return the schema of a list's envelope."""
    return record(
        data=array(item),
        meta=record(count=COUNT, limit=COUNT, offset=COUNT),
        links=record(("first", "last"), first=TEXT, last=TEXT, prev=TEXT, next=TEXT),
    )


def page_response(
    request: web.Request, listing: Listing, count: int, data: list[dict[str, Any]]
) -> web.Response:
    """Return a page of rows, with links to the other pages."""
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
