"""What every result must hold. No I/O.

The texts of the faults are upstream's where it has one.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Self, TypeVar
from uuid import UUID

from headrace.contracts.clusters import is_cluster_uuid
from headrace.contracts.message import Unjudged, shown
from headrace.contracts.rules import RulesResult, WorkloadsResult
from headrace.runtime.errors import Poison

_UINT8: Final = 0xFF
_UINT32: Final = 0xFFFF_FFFF
_MAX_REQUEST_ID_BYTES: Final = 1024

_RFC3339: Final = re.compile(
    r"(\d{4}-\d{2}-\d{2})[Tt](\d{2}:\d{2}:\d{2})(?:[.,](\d+))?([Zz]|[+-]\d{2}:\d{2})", re.ASCII
)


R = TypeVar("R", RulesResult, WorkloadsResult)


@dataclass(frozen=True, slots=True)
class Origin:
    """Which cluster a message is about, and as of when."""

    org_id: int
    cluster: UUID
    last_checked_at: datetime
    gathered_at: datetime | None
    version: int
    # Of the payload; empty where the message names none that can be kept.
    request_id: str = ""

    @classmethod
    def of(cls, result: RulesResult | WorkloadsResult) -> Self:
        """Raises `Poison` for a time that is none."""
        return cls(
            org_id=result.OrgID,
            cluster=UUID(result.ClusterName),
            last_checked_at=_moment("LastChecked", result.LastChecked or ""),
            gathered_at=_gathered_at(getattr(result, "Metadata", None)),
            version=result.Version,
            request_id=_request_id(result.RequestId),
        )


def judged(message: Unjudged, contract: type[R]) -> R:
    """Check what all results share; raises `Poison` with the reason. What is in the body is its reader's to check."""
    if message.problem:
        raise Poison(message.problem)
    attributes = message.attributes
    for name in ("OrgID", "ClusterName", contract.BODY):
        if attributes.get(name) is None:
            raise Poison(f"missing required attribute '{name}'")
    _uint32(attributes, "OrgID")
    cluster = attributes["ClusterName"]
    if not isinstance(cluster, str) or not is_cluster_uuid(cluster):
        raise Poison("cluster name is not a UUID")
    if not isinstance(attributes[contract.BODY], dict):
        raise Poison(f"{contract.BODY}: got {shown(attributes[contract.BODY])}, expected an object")
    if attributes.get("AccountNumber") is not None:
        _uint32(attributes, "AccountNumber")
    if not isinstance(attributes.get("RequestId"), str | None):
        raise Poison(f"RequestId: got {shown(attributes['RequestId'])}, expected a string")
    version = 0 if attributes.get("Version") is None else attributes["Version"]
    if not isinstance(version, int) or isinstance(version, bool) or not 0 <= version <= _UINT8:
        raise Poison(f"Version: got {shown(version)}, expected an integer from 0 to {_UINT8}")
    # Times and metadata are judged by `Origin.of`. Every other field is of its type: nothing is left to validate.
    given = {name: value for name, value in attributes.items() if value is not None}
    return contract.model_construct(**given)


def _request_id(text: str | None) -> str:
    """As the tracker keeps it; a longer one, or one that no column holds, is none."""
    try:
        size_bytes = len((text or "").encode())
    except UnicodeEncodeError:
        return ""
    return text if text and size_bytes <= _MAX_REQUEST_ID_BYTES and "\0" not in text else ""


def _uint32(attributes: dict[str, Any], name: str) -> None:
    value = attributes[name]
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _UINT32:
        raise Poison(f"{name}: got {shown(value)}, expected an integer from 0 to {_UINT32}")


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
