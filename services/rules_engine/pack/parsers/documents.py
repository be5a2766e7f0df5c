"""Reading JSON files. One that is none, or of another kind than expected, is skipped with its reason."""

from types import UnionType
from typing import Any, ClassVar

import orjson
from insights.core import Parser
from insights.core.exceptions import ContentException, SkipComponent

from services.rules_engine.pack.reading import Condition, condition, name_at


class JsonFile(Parser):
    """A JSON file: ``data`` is its value, which is one of ``HOLDS``, in words a ``WHAT``."""

    HOLDS: ClassVar[type | UnionType] = object
    WHAT: ClassVar[str] = "value"
    data: Any

    def __init__(self, context: Any) -> None:
        """As insights-core's own parsers, which join and split paths for each of a hundred files."""
        path, name = context.relative_path, context.path
        self.file_path = path if path is None or path.startswith("/") else f"/{path}"
        self.file_name = None if name is None else name.rpartition("/")[2]
        self.last_client_run = getattr(context, "last_client_run", None)
        self.args = getattr(context, "args", None)
        self.parse_content(context.content)

    def parse_content(self, content: Any) -> None:
        """Take the file's bytes, or its lines."""
        if isinstance(content, list):
            content = "\n".join(content)
        try:
            self.data = orjson.loads(content)
        except orjson.JSONDecodeError as error:
            raise ContentException(f"{self.file_path} is not JSON: {error}") from error
        if not isinstance(self.data, self.HOLDS):
            raise ContentException(f"{self.file_path} holds no JSON {self.WHAT}")


class ObjectFile(JsonFile):
    """A JSON file that holds an object."""

    HOLDS, WHAT = dict, "object"
    data: dict[str, Any]


class KubernetesObject(ObjectFile):
    """A JSON file that holds one Kubernetes object of ``KIND``; the kind may be missing."""

    KIND: ClassVar[str]
    name: str

    def parse_content(self, content: Any) -> None:
        """Take the file's bytes, or its lines."""
        super().parse_content(content)
        if self.data.get("kind", self.KIND) != self.KIND:
            raise SkipComponent(f"{self.file_path} is no {self.KIND}")
        self.name = name_at(self.data, "metadata", "name")
        if not self.name:
            raise ContentException(f"{self.file_path} holds an object without a name")

    @property
    def namespace(self) -> str:
        """Where it is; empty for what is in none."""
        return name_at(self.data, "metadata", "namespace")

    def condition(self, kind: str, *statuses: str) -> Condition | None:
        """Return its condition of that type when it has one of the statuses, if any are named."""
        return condition(self.data, kind, *statuses)
