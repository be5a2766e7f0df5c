"""Recognises what an upload is, by the name of its file or by its first members."""

from collections.abc import Mapping
from typing import Final

from headrace.archives.errors import ArchiveRejected
from headrace.archives.limits import ArchiveLimits
from headrace.archives.reader import ArchiveParser
from headrace.archives.tar import MemberStart
from headrace.contracts.assisted import CONTENT_TYPE, FILE_NAME

CONTENT_TYPES: Final[Mapping[str, str]] = {
    "ols": "application/vnd.redhat.ols.periodic+tar",
    "insights": "application/vnd.redhat.openshift.periodic",
    "cost": "application/vnd.redhat.hccm.tar+tgz",
    "assisted": CONTENT_TYPE,
}
# An archive shows what it is in its first members.
_MEMBERS_LOOKED_AT: Final = 50


def kind_by_member(name: str) -> str:
    """Return the kind of an archive that has a member of this name; empty if the name says nothing."""
    name = name.removeprefix("./")
    if name == "manifest.json":
        return "cost"
    if name.startswith(("feedback/", "transcripts/")):
        return "ols"
    if name.startswith(("config/", "insights-operator/")):
        return "insights"
    return "assisted" if name.endswith("/events.json") else ""


class KindFinder:
    """Looks at a file while it arrives; ``kind`` is empty until it is known, or if ``limits`` end the search."""

    def __init__(self, file_name: str = "", limits: ArchiveLimits | None = None) -> None:
        self.kind = "cost" if file_name.endswith(".csv") else "assisted" if file_name == FILE_NAME else ""
        self._parser: ArchiveParser | None = ArchiveParser(limits)
        self._seen = 0

    def look(self, chunk: bytes) -> bool:
        """Look at the next bytes; returns whether looking further may help."""
        if self._parser is None or self.kind:
            return False
        try:
            for events in self._parser.feed(chunk):
                for event in events:
                    if isinstance(event, MemberStart) and self._see(event.name):
                        return False
        except ArchiveRejected:
            self._parser = None
        return self._parser is not None

    def _see(self, name: str) -> bool:
        """Note a member; returns whether that was enough."""
        self._seen += 1
        self.kind = kind_by_member(name)
        if self.kind or self._seen >= _MEMBERS_LOOKED_AT:
            self._parser = None
        return self._parser is None
