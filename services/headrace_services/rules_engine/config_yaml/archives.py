"""Messages of the internal pipeline that name an archive by its path; they contain no identity and no time."""

import base64
import gzip
import json
import re
from datetime import UTC, datetime
from typing import Any, Final, Self

import orjson

from headrace.bus.producer import Outgoing
from headrace.contracts.announcement import UnjudgedAnnouncement
from headrace.rules.evaluation import Evaluation
from headrace_services.rules_engine.messages import Upload
from headrace_services.rules_engine.publishing import Publication

_PATH: Final = re.compile(
    r"(?:.*/)?(?P<org>\d+)/(?P<cluster>[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})"
    r"/(?P<time>\d{14})-[0-9a-zA-Z]+"
)
_WRONG_PATH: Final = "Archive pattern name incorrect"
_WRONG_SCHEMA: Final = "Invalid input message JSON schema"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class SyncedArchive(UnjudgedAnnouncement):
    """A message on ``ccx.archive.synced``: ``path``, and ``metadata`` with the cluster and its organisation."""

    @classmethod
    def from_json(cls, value: bytes) -> Self:
        """Decode the bytes; never raises: ``problem`` says what is wrong with them."""
        found = super().from_json(value)
        metadata = found.attributes.get("metadata")
        path = found.attributes.get("path")
        if found.problem:
            return found
        if not isinstance(metadata, dict) or not isinstance(path, str) or not path:
            return cls(
                attributes=found.attributes, problem=f"{_WRONG_SCHEMA}: 'path' and 'metadata' are required"
            )
        moment = re.search(r"(\d{14})-", path)
        return cls(
            attributes=_as_upload(
                found.attributes,
                path,
                str(metadata.get("external_organization", "")),
                metadata.get("cluster_id"),
                moment[1] if moment else None,
            )
        )


class ArchivePath(UnjudgedAnnouncement):
    """A message with a ``path``, which names organisation, cluster and time, and optionally a ``cluster_id``."""

    @classmethod
    def from_json(cls, value: bytes) -> Self:
        """Decode the bytes; never raises: ``problem`` says what is wrong with them."""
        found = super().from_json(value)
        path = found.attributes.get("path")
        if found.problem:
            return found
        parts = _PATH.match(path) if isinstance(path, str) else None
        if not isinstance(path, str) or parts is None:
            return cls(attributes=found.attributes, problem=f"{_WRONG_PATH}: {str(path)[:64]!r}")
        return cls(
            attributes=_as_upload(found.attributes, path, parts["org"], parts["cluster"], parts["time"])
        )


class SyncedResult(Publication):
    """The report of a synced archive, with the archive's path."""

    def message(self, upload: Upload, cluster: str, evaluation: Evaluation) -> Outgoing | None:
        """Return the message: one JSON object without a newline."""
        body = {
            "path": upload.attributes.get("path"),
            "metadata": upload.attributes.get("metadata"),
            "report": evaluation.report,
            "request_id": upload.request_id,
        }
        value = json.dumps(body).encode()
        if self.compressed:
            value = gzip.compress(value, mtime=0)
        return Outgoing(self.topic, value, cluster.encode(), ())


def _as_upload(
    attributes: dict[str, Any], path: str, org_id: str, cluster: Any, stamp: str | None
) -> dict[str, Any]:
    identity = {"identity": {"internal": {"org_id": org_id}}}
    metadata = {"cluster_id": cluster, "external_organization": org_id}
    return {
        "metadata": metadata,
        **attributes,
        "url": path,
        "cluster_name": cluster,
        "b64_identity": base64.b64encode(orjson.dumps(identity)).decode(),
        "timestamp": _time(stamp).isoformat(),
    }


def _time(stamp: str | None) -> datetime:
    try:
        return datetime.strptime(stamp or "", "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        # With the time of the message's arrival, results would differ between replays.
        return _EPOCH
