"""An archive on trial: what services would make of it, found out without engines.

A service that has a say offers ``check.py`` with a coroutine `check` (`Service.check`). It runs the service's own
code; what that would store or send ends in the stand-ins of this module.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from headrace.archives.files import file_chunks
from headrace.bus.delivery import Delivery
from headrace.bus.producer import Outgoing, Producer
from headrace.contracts.announcement import Announced, Announcement
from headrace.contracts.message import utc_now
from headrace.objects.endpoint import S3Endpoint
from headrace.objects.fetch import Fetcher, Location, stored
from headrace.objects.store import ObjectInfo, ObjectStore
from headrace.runtime.errors import Permanent, Retryable

if TYPE_CHECKING:
    from headrace.service.row import Service

Outcome: TypeAlias = Literal["accepted", "refused", "processed", "rejected", "unknown"]

BUCKET: Final = "insights-upload-perma"


@dataclass
class Trial:
    """One archive and what is known of it so far; services are asked in the order of the table.

    ``announcement`` is what ingress would announce, ``usage`` the names of the members that koku would pass on.
    """

    path: Path
    content_type: str
    headers: Mapping[str, str]
    lenient: bool
    announcement: Announcement | None = None
    usage: list[str] = field(default_factory=list)

    @property
    def announced(self) -> Announcement:
        """The announcement, for the services behind ingress."""
        if self.announcement is None:
            raise RuntimeError("ingress is asked first")
        return self.announcement

    def delivery(self) -> Delivery:
        """The announcement's way through a consumer."""
        now = utc_now()
        headers = {"service": self.announced.service}
        return Delivery("platform.upload.announce", 0, 0, None, headers, now, now, attempt=1)


@dataclass(frozen=True)
class Finding:
    """What a service would make of the archive. ``line`` names the line of the contract that decides it."""

    service: str
    outcome: Outcome
    text: str
    line: str

    @property
    def is_good(self) -> bool:
        """Whether the sender has nothing to change."""
        return self.outcome not in {"refused", "rejected"}


Check: TypeAlias = Callable[[Trial, "Service"], Awaitable[Finding | None]]
"""Gives a finding; None where the archive holds nothing for the service."""


async def handled(row: "Service", work: Awaitable[str | None], good: str, bad: Callable[[], str]) -> Finding:
    """Return how a handler ends: ``good`` and ``bad`` are the lines of the contract that it meets or fails."""
    name = row.name.replace("_", "-")
    try:
        text = await work
    except Retryable as error:
        return Finding(name, "unknown", str(error), good)
    except Permanent as error:
        return Finding(name, "rejected", str(error), bad())
    return Finding(name, "processed", text or "", good)


class Notes(Producer):
    """A producer that notes what it is given, and sends nothing."""

    def __init__(self) -> None:
        self.sent: list[Outgoing] = []

    async def send_all(self, messages: Sequence[Outgoing], *, timeout_seconds: float = 10.0) -> None:  # noqa: ARG002
        """Note them."""
        self.sent += messages


class EmptyStore(ObjectStore):
    """An S3 with nothing in it, which keeps nothing."""

    def __init__(self) -> None:
        self.endpoint = S3Endpoint("http://nowhere", "", "")

    async def head(self, bucket: str, key: str) -> ObjectInfo | None:  # noqa: ARG002
        """Nothing is there."""
        return None

    async def copy(self, source_bucket: str, source_key: str, bucket: str, key: str) -> None:
        """Copy nothing."""

    def presign(self, bucket: str, key: str, *, expires_seconds: int) -> str:  # noqa: ARG002
        """Return a URL of the right form."""
        return f"{self.endpoint.url}/{bucket}/{key}"


class OneFile(Fetcher):
    """A fetcher whose every upload is the archive on trial."""

    def __init__(self, path: Path) -> None:
        self.store = EmptyStore()
        self._path = path

    def locate_upload(self, upload: Announced) -> Location:
        """Return the place that ingress would have announced."""
        return stored(BUCKET, upload.request_id or "")

    @asynccontextmanager
    async def open(self, location: Location) -> AsyncIterator[AsyncIterator[bytes]]:  # noqa: ARG002
        """Give the file's bytes."""
        yield file_chunks(self._path)
