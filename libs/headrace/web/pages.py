"""Pages of a listing: where the others are."""

from collections.abc import Iterable
from urllib.parse import quote, urlencode


def page_links(
    path: str,
    query: Iterable[tuple[str, str]],
    *,
    count: int,
    limit: int | None,
    offset: int,
    previous: str = "previous",
) -> dict[str, str]:
    """``first`` and ``last``, with ``next`` and ``previous`` (or what the API calls it) where there is such a page.

    The whole query is kept; ``limit`` is None where a page has all rows.
    """
    kept = [(name, value) for name, value in query if name not in {"limit", "offset"}]

    def link(at: int) -> str:
        pairs = [*kept, ("limit", str(-1 if limit is None else limit)), ("offset", str(at))]
        return f"{quote(path)}?{urlencode(pairs)}"

    if not limit:
        return {"first": link(0), "last": link(0)}
    last = (max(count, 1) - 1) // limit * limit
    found = {"first": link(0), "last": link(last)}
    if offset > 0:
        found[previous] = link(max(0, min(offset - limit, last)))
    if offset + limit < count:
        found["next"] = link(offset + limit)
    return found
