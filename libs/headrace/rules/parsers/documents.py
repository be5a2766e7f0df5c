"""The base classes of parsers of JSON files. A file with other content than expected is skipped with a reason."""

from functools import cached_property
from types import UnionType
from typing import Any, ClassVar, TypedDict

import msgspec
import orjson
from insights.core import Parser
from insights.core.exceptions import ContentException, SkipComponent

from headrace.rules.excerpts import checked
from headrace.rules.reading import Condition, condition, name_at


class JsonFile(Parser):
    """A JSON file: ``data`` is its value, which is one of ``HOLDS``; ``WHAT`` names the type in reasons."""

    HOLDS: ClassVar[type | UnionType] = object
    WHAT: ClassVar[str] = "value"
    EXCERPT: ClassVar[Any] = Any
    """The keys that the properties read, as a TypedDict. Decoding skips the rest, which is most of a Kubernetes object.
    """
    _decoder: ClassVar[msgspec.json.Decoder[Any]] = msgspec.json.Decoder()
    excerpt: Any
    """The value; keys that ``EXCERPT`` does not name may be missing."""

    def __init_subclass__(cls) -> None:
        """Create the decoder once for the class, because an archive has hundreds of files of one kind."""
        super().__init_subclass__()
        if "EXCERPT" in vars(cls):
            cls._decoder = msgspec.json.Decoder(cls.EXCERPT)

    def __init__(self, context: Any) -> None:
        """Take a content provider; unlike insights-core's parsers, compute rarely used attributes on demand."""
        self._context = context
        self.parse_content(context.content)

    def parse_content(self, content: Any) -> None:
        """Read the file's bytes, or its lines."""
        self._content = "\n".join(content) if isinstance(content, list) else content
        try:
            self.excerpt = self._decoder.decode(self._content)
        except (ValueError, RecursionError):
            # The file is not JSON, or has values of unexpected types, which each rule skips by itself.
            self.excerpt = self.data
        self.excerpt = checked(self.excerpt, self.EXCERPT, type(self))
        if not isinstance(self.excerpt, self.HOLDS):
            raise ContentException(f"{self.file_path} contains no JSON {self.WHAT}")

    @cached_property
    def file_path(self) -> str | None:
        """The path of the file, relative to the root of the archive."""
        path: str | None = self._context.relative_path
        return path if path is None or path.startswith("/") else f"/{path}"

    @cached_property
    def file_name(self) -> str | None:
        """The last part of the path."""
        path = self._context.path
        return None if path is None else path.rpartition("/")[2]

    @cached_property
    def last_client_run(self) -> Any:
        """The attribute of every insights-core parser."""
        return getattr(self._context, "last_client_run", None)

    @cached_property
    def args(self) -> Any:
        """The attribute of every insights-core parser."""
        return getattr(self._context, "args", None)

    @cached_property
    def data(self) -> Any:
        """The whole value."""
        try:
            return orjson.loads(self._content)
        except orjson.JSONDecodeError as error:
            raise ContentException(f"{self.file_path} is not JSON: {error}") from error


class ObjectFile(JsonFile):
    """A JSON file that contains an object."""

    HOLDS, WHAT = dict, "object"
    excerpt: dict[str, Any]


class Metadata(TypedDict, total=False):
    """The metadata of a Kubernetes object."""

    name: Any
    namespace: Any
    labels: Any


class ObjectHead(TypedDict, total=False):
    """The keys that are read of every Kubernetes object."""

    kind: Any
    metadata: Metadata


class Status(TypedDict, total=False):
    """The conditions, which nearly every kind of object has."""

    conditions: Any


class ConditionedObject(ObjectHead, total=False):
    """An object of which only the conditions are read."""

    status: Status


class KubernetesObject(ObjectFile):
    """A JSON file that contains one Kubernetes object of ``KIND``; the kind may be missing."""

    KIND: ClassVar[str]
    EXCERPT: ClassVar[Any] = ConditionedObject
    name: str

    def parse_content(self, content: Any) -> None:
        """Read the file's bytes, or its lines."""
        super().parse_content(content)
        if self.excerpt.get("kind", self.KIND) != self.KIND:
            raise SkipComponent(f"{self.file_path} is not a {self.KIND}")
        self.name = name_at(self.excerpt, "metadata", "name")
        if not self.name:
            raise ContentException(f"{self.file_path} contains an object without a name")

    @property
    def namespace(self) -> str:
        """The namespace; empty for objects without one."""
        return name_at(self.excerpt, "metadata", "namespace")

    def condition(self, kind: str, *statuses: str) -> Condition | None:
        """Return the condition of a type, or None; if statuses are given, it must have one of them."""
        return condition(self.excerpt, kind, *statuses)
