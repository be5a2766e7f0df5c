"""Reading JSON files. One that is none, or of another kind than expected, is skipped with its reason."""

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
    """A JSON file: ``data`` is its value, which is one of ``HOLDS``, in words a ``WHAT``."""

    HOLDS: ClassVar[type | UnionType] = object
    WHAT: ClassVar[str] = "value"
    EXCERPT: ClassVar[Any] = Any
    """What the properties read: a TypedDict. Most of a Kubernetes object is read by nobody, and is passed over."""
    _decoder: ClassVar[msgspec.json.Decoder[Any]] = msgspec.json.Decoder()
    excerpt: Any
    """The value, of which keys that ``EXCERPT`` does not name may be missing."""

    def __init_subclass__(cls) -> None:
        """Make the decoder once, for there are hundreds of files of a kind."""
        super().__init_subclass__()
        if "EXCERPT" in vars(cls):
            cls._decoder = msgspec.json.Decoder(cls.EXCERPT)

    def __init__(self, context: Any) -> None:
        """As insights-core's own parsers, which find out for each file what hardly anybody asks for."""
        self._context = context
        self.parse_content(context.content)

    def parse_content(self, content: Any) -> None:
        """Take the file's bytes, or its lines."""
        self._content = "\n".join(content) if isinstance(content, list) else content
        try:
            self.excerpt = self._decoder.decode(self._content)
        except (ValueError, RecursionError):
            # No JSON, or values of other types than Kubernetes has there: each rule passes over those for itself.
            self.excerpt = self.data
        self.excerpt = checked(self.excerpt, self.EXCERPT, type(self))
        if not isinstance(self.excerpt, self.HOLDS):
            raise ContentException(f"{self.file_path} contains no JSON {self.WHAT}")

    @cached_property
    def file_path(self) -> str | None:
        """Where the file is, from the root of the archive."""
        path: str | None = self._context.relative_path
        return path if path is None or path.startswith("/") else f"/{path}"

    @cached_property
    def file_name(self) -> str | None:
        """The last part of its path."""
        path = self._context.path
        return None if path is None else path.rpartition("/")[2]

    @cached_property
    def last_client_run(self) -> Any:
        """As of every parser."""
        return getattr(self._context, "last_client_run", None)

    @cached_property
    def args(self) -> Any:
        """As of every parser."""
        return getattr(self._context, "args", None)

    @cached_property
    def data(self) -> Any:
        """The whole value."""
        try:
            return orjson.loads(self._content)
        except orjson.JSONDecodeError as error:
            raise ContentException(f"{self.file_path} is not JSON: {error}") from error


class ObjectFile(JsonFile):
    """A JSON file that holds an object."""

    HOLDS, WHAT = dict, "object"
    excerpt: dict[str, Any]


class Metadata(TypedDict, total=False):
    """Of a Kubernetes object."""

    name: Any
    namespace: Any
    labels: Any


class ObjectHead(TypedDict, total=False):
    """What is read of every Kubernetes object."""

    kind: Any
    metadata: Metadata


class Status(TypedDict, total=False):
    """Conditions, of which nearly every kind has some."""

    conditions: Any


class ConditionedObject(ObjectHead, total=False):
    """An object of which no more is read than its conditions."""

    status: Status


class KubernetesObject(ObjectFile):
    """A JSON file that holds one Kubernetes object of ``KIND``; the kind may be missing."""

    KIND: ClassVar[str]
    EXCERPT: ClassVar[Any] = ConditionedObject
    name: str

    def parse_content(self, content: Any) -> None:
        """Take the file's bytes, or its lines."""
        super().parse_content(content)
        if self.excerpt.get("kind", self.KIND) != self.KIND:
            raise SkipComponent(f"{self.file_path} is not a {self.KIND}")
        self.name = name_at(self.excerpt, "metadata", "name")
        if not self.name:
            raise ContentException(f"{self.file_path} contains an object without a name")

    @property
    def namespace(self) -> str:
        """Where it is; empty for what is in none."""
        return name_at(self.excerpt, "metadata", "namespace")

    def condition(self, kind: str, *statuses: str) -> Condition | None:
        """Return its condition of that type when it has one of the statuses, if any are named."""
        return condition(self.excerpt, kind, *statuses)
