"""Content providers for files in memory; otherwise they behave like those of insights.core.spec_factory."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from insights.cleaner.filters import AllowFilter
from insights.core import filters, spec_factory
from insights.core.context import ExecutionContext
from insights.core.exceptions import ContentException

from headrace.rules.evaluation.tree import Tree
from headrace.rules.evaluation.virtual import ROOT, refuse


@dataclass(frozen=True, slots=True)
class Place:
    """The files of a context: ``base`` is the context's root, as a path in the tree."""

    tree: Tree
    base: str
    context: ExecutionContext
    filters: dict[Any, dict[str, int]] = field(default_factory=dict)
    """The filters of the specs so far. A look-up in insights-core is slow and leaves a reference cycle."""
    root: str = field(init=False)
    """The root as components see it."""

    def __post_init__(self) -> None:
        """Build the root once, because every file refers to it."""
        object.__setattr__(self, "root", f"{ROOT}/{self.base}" if self.base else ROOT)

    def below(self, relative_path: str) -> str:
        """Return the path in the tree for a path relative to the root."""
        return f"{self.base}/{relative_path}" if self.base else relative_path

    def filters_of(self, spec: Any) -> dict[str, int]:
        """Return the texts of which a line has to contain one, each with its maximum number of lines."""
        found = self.filters.get(spec)
        if found is None:
            found = self.filters[spec] = filters.get_filters(spec, True)
        return found

    def provider(
        self, kind: type[spec_factory.FileProvider], path: str, *, spec: Any, save_as: str | None = None
    ) -> spec_factory.FileProvider:
        """Return the provider of the file at a path relative to the root.

        Raises:
            ContentException: the file does not exist.
            ValueError: the path is outside of the root.
            NeedsDisk: the provider class reads files by itself.
        """
        relative_path = path.lstrip("/")
        return self.provider_at(
            self.tree.resolve(self.below(relative_path)), kind, relative_path, spec, save_as
        )

    def provider_at(
        self,
        resolved: str | None,
        kind: type[spec_factory.FileProvider],
        relative_path: str,
        spec: Any,
        save_as: str | None,
    ) -> spec_factory.FileProvider:
        """Return the provider for a resolved path in the tree; raises like ``provider``."""
        base = self.base
        if resolved is None or (base and not (resolved == base or resolved.startswith(f"{base}/"))):
            raise ValueError(f"Relative path points outside the root: {relative_path}")
        if not self.tree.exists(resolved):
            raise ContentException(f"{relative_path} does not exist.")
        if (in_memory := _KINDS.get(kind)) is None:
            refuse(f"{kind.__name__} reads files by itself")
            raise AssertionError
        return in_memory(self, relative_path, resolved, spec, save_as)


class _InMemory(spec_factory.FileProvider):  # type: ignore[misc]
    """A provider of bytes. Parsers that would only join the lines again use ``data``."""

    # Class attributes cost nothing per file: the fields that ContentProvider's constructor sets, and `last_client_run`,
    # which every parser looks up.
    cmd = args = rc = cleaner = last_client_run = None
    _content = _exception = None
    loaded = _filterable = False

    def __init__(
        self, place: Place, relative_path: str, resolved: str, spec: Any, save_as: str | None
    ) -> None:
        # FileProvider's own constructor accesses the disk.
        self.ds = spec
        self.ctx = place.context
        self.root = place.root
        self.relative_path = relative_path
        self.save_as = save_as
        self.file_name = relative_path.rpartition("/")[2]
        self._filters = place.filters_of(spec)
        self._tree = place.tree
        self._resolved = resolved

    @property
    def path(self) -> str:
        """The path as components see it; it cannot be opened."""
        return f"{self.root}/{self.relative_path}"

    @property
    def data(self) -> bytes:
        """The unchanged bytes in the archive, without limit or filter."""
        data = self._tree.read(self._resolved)
        if data is None:
            raise IsADirectoryError(f"Is a directory: {self.relative_path!r}")
        return data


class TextInMemory(_InMemory, spec_factory.TextFileProvider):  # type: ignore[misc]
    """Lines with universal newlines, limited and filtered; undecodable bytes become surrogates."""

    def load(self) -> list[str]:
        """Return the lines."""
        self.loaded = True
        data = self.data
        if len(data) > spec_factory.MAX_CONTENT_SIZE:
            lines = _lines(data[-spec_factory.MAX_CONTENT_SIZE :])[1:]
        else:
            lines = _lines(data)
        if self._filters:
            filtered: list[str] = AllowFilter.filter_content(lines, self._filters)
            return filtered
        return lines

    def _stream(self) -> Iterator[list[str]]:
        if self._exception:
            raise self._exception
        yield self._content or _lines(self.data)


class RawInMemory(_InMemory, spec_factory.RawFileProvider):  # type: ignore[misc]
    """The bytes of a file."""

    def load(self) -> bytes:
        """Return the bytes."""
        self.loaded = True
        return self.data


class SerializedText(TextInMemory, spec_factory.SerializedOutputProvider):  # type: ignore[misc]
    """The lines of a file in a core3 archive."""


class SerializedRaw(RawInMemory, spec_factory.SerializedRawOutputProvider):  # type: ignore[misc]
    """The bytes of a file in a core3 archive."""


_KINDS: dict[type, type[_InMemory]] = {
    spec_factory.TextFileProvider: TextInMemory,
    spec_factory.RawFileProvider: RawInMemory,
    spec_factory.SerializedOutputProvider: SerializedText,
    spec_factory.SerializedRawOutputProvider: SerializedRaw,
}


def _lines(data: bytes) -> list[str]:
    text = data.decode("utf-8", "surrogateescape")
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    lines = text.split("\n")
    if not lines[-1]:
        lines.pop()
    return lines
