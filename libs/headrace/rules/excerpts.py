"""Excerpts: a parser keeps only the keys of a document that its ``EXCERPT``, a TypedDict, names.

Rules see any other key as absent, whatever the file contains: a rule that reads one would be wrong on every archive
without failing. Within `checking` such a read raises `UnnamedKey`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from types import UnionType
from typing import Any, Final, Union, get_args, get_origin, get_type_hints, is_typeddict


class UnnamedKey(LookupError):
    """A rule read a key that ``EXCERPT`` does not name; the text names the key, the parser and the existing keys."""


class _Checking:
    found: list[UnnamedKey] | None = None


_checking: Final = _Checking()


@contextmanager
def checking() -> Iterator[list[UnnamedKey]]:
    """Check the reads of documents that are parsed within the block; it is slow, so for tests and at load.

    The read raises `UnnamedKey`, which is also added to the yielded list in case the rule catches it.
    """
    before, _checking.found = _checking.found, []
    try:
        yield _checking.found
    finally:
        _checking.found = before


def checked(value: Any, excerpt: Any, parser: type) -> Any:
    """Return the decoded value; within `checking` it raises on keys that the excerpt does not name."""
    return value if _checking.found is None else _checked(value, excerpt, parser, "", _checking.found)


def example(excerpt: Any) -> Any:
    """Return a document with every object and list that the excerpt names; values of any type are None."""
    if is_typeddict(excerpt):
        parts = {key: example(kind) for key, kind in get_type_hints(excerpt).items()}
        return {key: part for key, part in parts.items() if part is not None}
    if get_origin(excerpt) is list:
        return [part for part in map(example, get_args(excerpt)) if part is not None]
    if get_origin(excerpt) is dict:
        part = example(get_args(excerpt)[1])
        return {} if part is None else {"example": part}
    return next((part for part in map(example, get_args(excerpt)) if part is not None), None)


class _Checked(dict[str, Any]):
    """An object of a document that knows which keys its excerpt names."""

    def __init__(
        self, values: dict[str, Any], named: dict[str, Any], parser: type, path: str, found: list[UnnamedKey]
    ) -> None:
        super().__init__(values)
        self._named = named
        self._parser = parser
        self._path = path
        self._found = found

    def _check(self, key: Any) -> None:
        if key not in self._named:
            error = UnnamedKey(
                f"{_below(self._path, key)} of {self._parser.__qualname__}, whose EXCERPT does not name it; "
                f"there it names {', '.join(sorted(self._named)) or 'nothing'}"
            )
            self._found.append(error)
            raise error

    def __getitem__(self, key: str) -> Any:
        self._check(key)
        return super().__getitem__(key)

    def __contains__(self, key: object) -> bool:
        self._check(key)
        return super().__contains__(key)

    def get(self, key: str, default: Any = None) -> Any:
        self._check(key)
        return super().get(key, default)


def _checked(value: Any, excerpt: Any, parser: type, path: str, found: list[UnnamedKey]) -> Any:
    """Wrap the objects of a document along its excerpt: through objects, lists, and unions of two types."""
    origin, inner = get_origin(excerpt), get_args(excerpt)
    if is_typeddict(excerpt) and isinstance(value, dict):
        named = get_type_hints(excerpt)
        parts = {
            key: _checked(part, named.get(key, Any), parser, _below(path, key), found)
            for key, part in value.items()
        }
        return _Checked(parts, named, parser, path, found)
    if origin is list and isinstance(value, list):
        return [_checked(one, inner[0], parser, f"{path}[]", found) for one in value]
    if origin is dict and isinstance(value, dict):
        return {
            key: _checked(part, inner[1], parser, _below(path, key), found) for key, part in value.items()
        }
    if origin is Union or origin is UnionType:
        for kind in inner:
            if (within := _checked(value, kind, parser, path, found)) is not value:
                return within
    return value


def _below(path: str, key: Any) -> str:
    return f"{path}.{key}" if path else str(key)
