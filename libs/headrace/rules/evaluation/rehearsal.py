"""Archives with exactly the keys that parsers' excerpts name; rules run on them once, when they are loaded.

A rule that reads a key that ``EXCERPT`` does not name fails there, before it meets a real archive, in every pack. Reads
that depend on a value are found by the rule's tests (`headrace.rules.testing.judge`) and by ``headrace rules try``.
"""

import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from headrace.archives import Entry, write_archive
from headrace.rules.excerpts import example
from headrace.rules.parsers.documents import JsonFile

_NAME: Final = "rehearsal"
_MODIFIED: Final = datetime(2026, 1, 1, tzinfo=UTC)
_MAGIC: Final = re.compile(r"\*+|\?|\[[^\]]*\]")


def archives(graph: Mapping[Any, set[Any]]) -> Iterator[bytes]:
    """Yield one archive for each kind of archive that the parsers in the graph read."""
    files: dict[Any, dict[str, Any]] = {}
    for parser in graph:
        if isinstance(parser, type) and issubclass(parser, JsonFile) and parser.EXCERPT is not Any:
            for context, path in _places(parser, graph):
                files.setdefault(context, {}).setdefault(path, _document(parser))
    for context, documents in files.items():
        documents.setdefault(context.marker, {})
        entries = [
            Entry.of(path, json.dumps(document).encode()) for path, document in sorted(documents.items())
        ]
        yield b"".join(write_archive(entries, modified=_MODIFIED, level=1))


def _places(parser: type, graph: Mapping[Any, set[Any]]) -> Iterator[tuple[Any, str]]:
    """Yield the kinds of archives that contain the parser's files, each with a path."""
    for spec in (spec for point in graph[parser] for spec in graph.get(point, ())):
        context = getattr(spec, "context", None)
        if not isinstance(getattr(context, "marker", None), str):
            continue
        for attribute in ("path", "paths", "patterns"):
            patterns = getattr(spec, attribute, ())
            for pattern in [patterns] if isinstance(patterns, str) else patterns:
                # Several parsers may read files of one pattern, each for another kind of object.
                yield context, _MAGIC.sub(f"{_NAME}-{parser.__name__}", pattern)


def _document(parser: type[JsonFile]) -> Any:
    document = example(parser.EXCERPT)
    if isinstance(document, dict):
        if kind := getattr(parser, "KIND", None):
            document["kind"] = kind
        if isinstance(metadata := document.get("metadata"), dict):
            metadata["name"] = _NAME
    return document
