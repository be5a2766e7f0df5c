"""What every route shares: the id in its path, the envelope of its list."""

import re
from typing import Any

from aiohttp import web

from headrace.web.errors import json_response
from services.sources_api import filters
from services.sources_api.bodies import MAX_ID
from services.sources_api.errors import Invalid


def page_response(
    request: web.Request, listing: filters.Listing, count: int, data: list[dict[str, Any]]
) -> web.Response:
    """The envelope of every list."""
    return json_response(
        {
            "data": data,
            "meta": {"count": count, "limit": listing.limit, "offset": listing.offset},
            "links": filters.links(request.path.rstrip("/"), request.query.items(), listing, count),
        }
    )


def row_id_of(request: web.Request) -> int:
    """The path's id; raises `Invalid`."""
    text = request.match_info["id"]
    if not re.fullmatch("[0-9]{1,19}", text) or not 0 < int(text) <= MAX_ID:
        raise Invalid("the ID must be a positive whole number")
    return int(text)
