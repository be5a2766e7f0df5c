"""Results of the rules engine: topics ``ccx.ocp.results``, ``ccx.dvo.results``, and the images of workloads.

Fields stand in the order in which upstream writes them.
Source: RedHatInsights/insights-ccx-messaging (publishers) and RedHatInsights/insights-results-aggregator (consumer).
"""

import json
import zlib
from typing import Annotated, Any, ClassVar, Final, TypeAlias

import orjson
from pydantic import Field

from headrace.contracts.message import Message, Unjudged

# A record has at most 1 MiB by Kafka's default; recommendations for workloads inflate about tenfold.
_MAX_INFLATED_BYTES: Final = 16 << 20
_GZIP: Final = b"\x1f\x8b"
_GZIP_WINDOW: Final = 31

Number: TypeAlias = Annotated[int, Field(ge=0, le=0xFFFF_FFFF)]


class _Line(Message):
    """A message that is written as one line of JSON."""

    def to_json(self) -> bytes:
        """With the newline; an unknown account is absent, an unknown request id null, as upstream has it."""
        return to_line({name: value for name, value in self if name != "AccountNumber" or value is not None})


class RulesResult(_Line):
    """One cluster's report. ``LastChecked`` is the announcement's timestamp, unchanged."""

    BODY: ClassVar[str] = "Report"

    OrgID: Number
    AccountNumber: Number | None = None
    ClusterName: str
    Report: dict[str, Any]
    LastChecked: str = ""
    Version: int = 0
    RequestId: str | None = None
    Metadata: dict[str, Any] | None = None


class WorkloadsResult(_Line):
    """One cluster's recommendations for workloads: topic ``ccx.dvo.results``."""

    BODY: ClassVar[str] = "Metrics"

    OrgID: Number
    ClusterName: str
    Metrics: dict[str, Any]
    RequestId: str | None = None
    LastChecked: str = ""
    Version: int = 0
    AccountNumber: Number | None = None


class WorkloadInfo(_Line):
    """Which images run where in one cluster: its archive's config/workload_info.json."""

    OrgID: Number
    ClusterName: str
    Images: Any = None
    LastChecked: str = ""
    Version: int = 0
    RequestId: str | None = None
    AccountNumber: Number | None = None


class UnjudgedResult(Unjudged):
    """Of topic ``ccx.ocp.results``, as it came."""

    NAMES = ("RequestId", "OrgID", "AccountNumber")

    @classmethod
    def parsed(cls, value: bytes) -> Any:
        """The document; raises ``ValueError``."""
        try:
            return orjson.loads(value)
        except orjson.JSONDecodeError:
            # Python's encoder writes NaN and half surrogate pairs, which orjson refuses; NaN means nothing to a reader.
            return json.loads(value, parse_constant=lambda _: None)


class UnjudgedWorkloads(UnjudgedResult):
    """Of topic ``ccx.dvo.results``, as it came."""

    @classmethod
    def unpacked(cls, value: bytes) -> bytes:
        """The JSON text, which may come as gzip; never more than the bound is inflated."""
        if not value.startswith(_GZIP):
            return value
        inflater = zlib.decompressobj(_GZIP_WINDOW)
        try:
            body = inflater.decompress(value, _MAX_INFLATED_BYTES)
        except zlib.error as error:
            raise ValueError(str(error)) from None
        if not inflater.eof:
            more = inflater.unconsumed_tail
            raise ValueError(f"more than {_MAX_INFLATED_BYTES} bytes inflated" if more else "truncated gzip")
        return body


def to_line(body: dict[str, Any]) -> bytes:
    """One line of JSON with its newline."""
    try:
        return orjson.dumps(body, option=orjson.OPT_APPEND_NEWLINE)
    except TypeError:  # integers beyond 64 bits
        return json.dumps(body).encode() + b"\n"
