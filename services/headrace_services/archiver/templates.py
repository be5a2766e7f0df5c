"""Key templates: the place of an archive in a bucket. No I/O.

Two notations can be mixed: archive-sync's ``$name``, ``${name}``, ``$name[:2]`` and ``$name[0]``, and storage-broker's
``{name}``.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Self
from urllib.parse import quote

from headrace.runtime.errors import ConfigurationError, Rejected

CLUSTER_LAYOUT: Final = "archives/compressed/$cluster_id[:2]/$cluster_id/$year$month/$day/$time.tar.gz"

# The notations of a time in a key.
_MOMENTS: Final = {
    "year": "%Y",
    "month": "%m",
    "day": "%d",
    "hour": "%H",
    "minute": "%M",
    "second": "%S",
    "time": "%H%M%S",
    "timestamp": "%Y%m%d%H%M%S",
}
_TO_THE_SECOND: Final = frozenset({"second", "time", "timestamp"})
_FIELDS: Final = frozenset(
    {"cluster_id", "org_id", "account", "service", "request_id", "size", "original_path"}
)

_PLACE: Final = re.compile(
    r"(?:\$(?:\{(?P<braced>\w+)\}|(?P<bare>[A-Za-z_]+))|\{(?P<plain>\w+)\})"
    r"(?:\[(?:(?P<index>-?\d+)|(?P<start>-?\d*):(?P<stop>-?\d*))\])?"
)
# The longest suffix of an archive's name; the number of a copy goes before it.
_SUFFIX: Final = re.compile(r"(?:\.tar\.gz|\.tgz|\.[A-Za-z0-9]{1,8})?$")
_MAX_KEY_BYTES: Final = 1024


@dataclass(frozen=True)
class Place:
    """A field in a template, or a part of the field."""

    field: str
    part: slice

    def cut(self, value: str) -> str:
        """Return the requested part."""
        return value[self.part]


@dataclass(frozen=True)
class KeyTemplate:
    """A parsed template: literal texts and fields."""

    text: str
    parts: tuple[str | Place, ...]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse a template; raises `ConfigurationError` for an unknown field."""
        parts: list[str | Place] = []
        end = 0
        for match in _PLACE.finditer(text):
            name = match["braced"] or match["bare"] or match["plain"]
            if name not in _FIELDS and name not in _MOMENTS:
                known = ", ".join(sorted(_FIELDS | _MOMENTS.keys()))
                raise ConfigurationError(
                    f"key template {text!r}: got field {name!r}, expected one of {known}"
                )
            parts += [text[end : match.start()], Place(name, _part(match))]
            end = match.end()
        parts.append(text[end:])
        template = cls(text, tuple(part for part in parts if part != ""))
        if not template.fields & _FIELDS:
            raise ConfigurationError(f"key template {text!r}: every archive would get the same key")
        return template

    @property
    def fields(self) -> frozenset[str]:
        """The names of the used fields."""
        return frozenset(part.field for part in self.parts if isinstance(part, Place))

    @property
    def needs_cluster_id(self) -> bool:
        """Whether the template needs a cluster id."""
        return "cluster_id" in self.fields

    def series(self, values: Mapping[str, str]) -> "Series":
        """Fill in everything except the time; raises `Rejected` for a value that is missing or not allowed in a key."""
        filled: list[str | Place] = []
        for part in self.parts:
            if isinstance(part, Place) and part.field in _FIELDS:
                filled.append(part.cut(_component(part.field, values.get(part.field, ""))))
            else:
                filled.append(part)
        return Series(tuple(filled), timed=bool(self.fields & _TO_THE_SECOND))


@dataclass(frozen=True)
class Series:
    """The keys of archives of one cluster (or of other fields in the template), one per position.

    ``timed``: the position is the time in seconds since 1970. Otherwise it is 1 for the first archive of a name, 2 for
    the second, and so on.
    """

    parts: tuple[str | Place, ...]
    timed: bool

    @property
    def name(self) -> str:
        """The text that identifies this series."""
        return "".join(part if isinstance(part, str) else f"${part.field}" for part in self.parts)

    def first_position(self, now: datetime) -> int:
        """Return the position of an archive in a series that is empty."""
        return int(now.timestamp()) if self.timed else 1

    def key(self, position: int, now: datetime) -> str:
        """Return the key at a position; raises `Rejected` if S3 does not allow it."""
        moment = datetime.fromtimestamp(position, UTC) if self.timed else now.astimezone(UTC)
        key = "".join(
            part if isinstance(part, str) else part.cut(moment.strftime(_MOMENTS[part.field]))
            for part in self.parts
        )
        if not self.timed and position > 1:
            key = _SUFFIX.sub(lambda match: f"-{position}{match[0]}", key, count=1)
        if len(key.encode()) > _MAX_KEY_BYTES:
            raise Rejected(
                f"the archive's key would have {len(key.encode())} bytes; S3 allows {_MAX_KEY_BYTES}"
            )
        return key


def _part(match: re.Match[str]) -> slice:
    if match["index"] is not None:
        index = int(match["index"])
        return slice(index, index + 1 or None)
    return slice(int(match["start"] or 0), int(match["stop"]) if match["stop"] else None)


def _component(field: str, value: str) -> str:
    if value in {"", ".", ".."}:
        raise Rejected(f"the archive's key needs {field}, but the payload has {value!r}")
    if field == "original_path":
        return value
    return quote(value, safe="@=+:")
