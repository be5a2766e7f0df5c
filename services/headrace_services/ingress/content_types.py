"""Derives the service of an upload from the file part's content type."""

import re
from typing import Final, NamedTuple

# The types are compared exactly, including case and blanks, as upstream does.
_ADVISOR: Final = frozenset(
    {"application/x-gzip; charset=binary", "application/gzip", "application/gzip; charset=binary"}
)
_VENDOR: Final = re.compile(r"application/vnd\.redhat\.([a-z0-9-]+)\.([a-z0-9-]+)")


class Kind(NamedTuple):
    """The kind of an upload: its service, and its category within the service."""

    service: str
    category: str


def kind_of(content_type: str) -> Kind | None:
    """Return the kind, or None if the type names no service."""
    if content_type in _ADVISOR:
        return Kind("advisor", "upload")
    found = _VENDOR.search(content_type)
    return Kind(found[1], found[2]) if found else None
