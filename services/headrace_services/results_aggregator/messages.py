"""Messages as they come, valid or not, and what every one must hold. No I/O.

The texts of the faults are upstream's where it has one.
"""

import json
import re
import zlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Self
from uuid import UUID

import orjson

from headrace.contracts.clusters import is_cluster_uuid
from headrace.contracts.message import Message
from headrace.runtime.errors import Poison

_UINT8: Final = 0xFF
_UINT32: Final = 0xFFFF_FFFF
# A record has at most 1 MiB by Kafka's default; recommendations for workloads inflate about tenfold.
_MAX_INFLATED_BYTES: Final = 16 << 20
_GZIP: Final = b"\x1f\x8b"
_GZIP_WINDOW: Final = 31
_SHOWN_CHARACTERS: Final = 64

_RFC3339: Final = re.compile(
    r"(\d{4}-\d{2}-\d{2})[Tt](\d{2}:\d{2}:\d{2})(?:[.,](\d+))?([Zz]|[+-]\d{2}:\d{2})", re.ASCII
)


class Incoming(Message):
    """A message decoded but not judged: the handler does that, so that every fault is put on record."""

    attributes: dict[str, Any]
    raw: bytes
    problem: str = ""

    @classmethod
    def from_json(cls, value: bytes) -> Self:
        """Never raises; ``problem`` says what is wrong with the bytes."""
        try:
            value = cls.inflated(value)
            parsed = _parsed(value)
        except (ValueError, RecursionError, zlib.error) as error:
            return cls(attributes={}, raw=value, problem=f"the message is not JSON: {error}")
        if not isinstance(parsed, dict):
            problem = f"the message is not an object: {shown(parsed)}"
            return cls(attributes={}, raw=value, problem=problem)
        return cls(attributes=parsed, raw=value)

    @staticmethod
    def inflated(value: bytes) -> bytes:
        """As it came."""
        return value

    @property
    def request_id(self) -> str:
        """For the payload's status."""
        value = self.attributes.get("RequestId")
        return value if isinstance(value, str) else ""

    @property
    def org_id(self) -> str:
        """For the payload's status."""
        return str(self.attributes.get("OrgID") or "")

    @property
    def account(self) -> str:
        """For the payload's status."""
        return str(self.attributes.get("AccountNumber") or "")


class IncomingReport(Incoming):
    """Of topic ``ccx.ocp.results``."""


class IncomingWorkloads(Incoming):
    """Of topic ``ccx.dvo.results``; its body may be gzip."""

    @staticmethod
    def inflated(value: bytes) -> bytes:
        """Raises ``ValueError`` or ``zlib.error``; never more than the bound is inflated."""
        if not value.startswith(_GZIP):
            return value
        inflater = zlib.decompressobj(_GZIP_WINDOW)
        body = inflater.decompress(value, _MAX_INFLATED_BYTES)
        if not inflater.eof:
            more = inflater.unconsumed_tail
            raise ValueError(f"more than {_MAX_INFLATED_BYTES} bytes inflated" if more else "truncated gzip")
        return body


@dataclass(frozen=True, slots=True)
class Origin:
    """Which cluster a message is about, and as of when."""

    org_id: int
    cluster: UUID
    last_checked_at: datetime
    gathered_at: datetime | None
    version: int


def origin(message: Incoming, *, body: str) -> Origin:
    """Check what all messages share; ``body`` is the attribute with the contents. Raises `Poison`."""
    if message.problem:
        raise Poison(message.problem)
    attributes = message.attributes
    for name in ("OrgID", "ClusterName", body):
        if attributes.get(name) is None:
            raise Poison(f"missing required attribute '{name}'")
    org_id = _uint32(attributes, "OrgID")
    cluster = attributes["ClusterName"]
    if not isinstance(cluster, str) or not is_cluster_uuid(cluster):
        raise Poison("cluster name is not a UUID")
    if not isinstance(attributes[body], dict):
        raise Poison(f"{body}: got {shown(attributes[body])}, expected an object")
    if attributes.get("AccountNumber") is not None:
        _uint32(attributes, "AccountNumber")
    if not isinstance(attributes.get("RequestId"), str | None):
        raise Poison(f"RequestId: got {shown(attributes['RequestId'])}, expected a string")
    version = 0 if attributes.get("Version") is None else attributes["Version"]
    if not isinstance(version, int) or isinstance(version, bool) or not 0 <= version <= _UINT8:
        raise Poison(f"Version: got {shown(version)}, expected an integer from 0 to {_UINT8}")
    return Origin(
        org_id=org_id,
        cluster=UUID(cluster),
        last_checked_at=_moment("LastChecked", attributes.get("LastChecked") or ""),
        gathered_at=_gathered_at(attributes.get("Metadata")),
        version=version,
    )


def text_of(value: Any) -> str:
    """JSON as PostgreSQL's text can hold it."""
    try:
        return orjson.dumps(value).decode()
    except TypeError:  # half a surrogate pair, or an integer beyond 64 bits
        return json.dumps(value, separators=(",", ":"))


def shown(value: Any) -> str:
    """A value in an error's text, cut."""
    text = text_of(value)
    return text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "…"


def _parsed(value: bytes) -> Any:
    try:
        return orjson.loads(value)
    except orjson.JSONDecodeError:
        # Python's encoder writes NaN and half surrogate pairs, which orjson refuses; NaN has no meaning to a reader.
        return json.loads(value, parse_constant=lambda _: None)


def _uint32(attributes: dict[str, Any], name: str) -> int:
    value = attributes[name]
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _UINT32:
        raise Poison(f"{name}: got {shown(value)}, expected an integer from 0 to {_UINT32}")
    return value


def _gathered_at(metadata: Any) -> datetime | None:
    if metadata is None:
        return None
    if not isinstance(metadata, dict):
        raise Poison(f"Metadata: got {shown(metadata)}, expected an object")
    gathered = metadata.get("gathering_time")
    return None if gathered is None else _moment("Metadata.gathering_time", gathered)


def _moment(name: str, text: Any) -> datetime:
    """RFC 3339 in UTC; digits beyond the microsecond are cut."""
    match = _RFC3339.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise Poison(f"{name}: got {shown(text)}, expected RFC 3339 such as 2026-11-21T21:28:22Z")
    day, time, fraction, zone = match.groups()
    zone = "+00:00" if zone in "Zz" else zone
    try:
        moment = datetime.fromisoformat(f"{day}T{time}.{(fraction or '')[:6]:0<6}{zone}").astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise Poison(f"{name}: got {shown(text)}: {error}") from None
    return moment
