"""Links to the other pages of a list."""

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
    """Return ``first`` and ``last``, and ``next`` and ``previous`` (or the API's name for it) if such a page exists.

    The links keep the whole query; ``limit`` is None if a page contains all rows.
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
