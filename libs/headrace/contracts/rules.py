"""Results of the rules engine: topics ``ccx.ocp.results`` and ``ccx.dvo.results``, and the images of workloads.

The fields are in upstream's order. Source: RedHatInsights/insights-ccx-messaging (publishers) and
RedHatInsights/insights-results-aggregator (consumer).
"""

import json
import zlib
from typing import Annotated, Any, ClassVar, Final, TypeAlias

import orjson
from pydantic import Field

from headrace.contracts.message import Message, Unjudged

# Kafka's default limit of a record is 1 MiB; recommendations for workloads inflate about tenfold.
_MAX_INFLATED_BYTES: Final = 16 << 20
_GZIP: Final = b"\x1f\x8b"
_GZIP_WINDOW: Final = 31

Number: TypeAlias = Annotated[int, Field(ge=0, le=0xFFFF_FFFF)]


class _Line(Message):
    """A message that is encoded as one line of JSON."""

    def to_json(self) -> bytes:
        """Encode with a final newline.

        As upstream does, omit an unknown account and write an unknown request id as null.
        """
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
    """The images that run in one cluster: ``config/workload_info.json`` of its archive."""

    OrgID: Number
    ClusterName: str
    Images: Any = None
    LastChecked: str = ""
    Version: int = 0
    RequestId: str | None = None
    AccountNumber: Number | None = None


class UnjudgedResult(Unjudged):
    """A message on ``ccx.ocp.results`` before validation."""

    NAMES = ("RequestId", "OrgID", "AccountNumber")

    @property
    def cluster_id(self) -> Any:
        """The cluster in the payload's status."""
        return self.attributes.get("ClusterName")

    @classmethod
    def parsed(cls, value: bytes) -> Any:
        """Return the decoded document; raises ``ValueError``."""
        try:
            return orjson.loads(value)
        except orjson.JSONDecodeError:
            # Python's encoder writes NaN and lone surrogates, which orjson refuses. Readers treat NaN as absent.
            return json.loads(value, parse_constant=lambda _: None)


class UnjudgedWorkloads(UnjudgedResult):
    """A message on ``ccx.dvo.results`` before validation."""

    @classmethod
    def unpacked(cls, value: bytes) -> bytes:
        """Return the JSON text, which may be compressed with gzip; decompress no more than the limit."""
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
    """Return one line of JSON with its newline."""
    try:
        return orjson.dumps(body, option=orjson.OPT_APPEND_NEWLINE)
    except TypeError:  # integers beyond 64 bits
        return json.dumps(body).encode() + b"\n"
