"""What the archiver would make of an upload: its handler, with a table and an S3 that are empty."""

from dataclasses import asdict

from headrace.contracts.message import utc_now
from headrace.runtime.settings import load
from headrace.service.row import Service
from headrace.service.trial import EmptyStore, Finding, Notes, OneFile, Trial, handled
from headrace_services.archiver.handlers import Archiver
from headrace_services.archiver.settings import ArchiverSettings
from headrace_services.archiver.store import Archive, ArchiveTable, Claim
from headrace_services.archiver.targets import targets


class _Table(ArchiveTable):
    """A table in which every claim is the first."""

    def __init__(self) -> None:
        """Without a database."""

    async def find(self, source: str, etag: str) -> Archive | None:  # noqa: ARG002
        return None

    async def take_position(self, claim: Claim, series: str, first: int) -> int:  # noqa: ARG002
        return first

    async def claim(self, claim: Claim) -> Archive | None:
        now = utc_now()
        return Archive(**asdict(claim), id=1, claimed_at=now, copied_at=None, published_at=None)

    async def mark_copied(self, archive: Archive) -> None:
        """Nothing is recorded."""

    async def mark_published(self, archive: Archive) -> None:
        """Nothing is recorded."""


async def check(trial: Trial, row: Service) -> Finding:
    """Find the archive's cluster and its key."""
    fetcher, message = OneFile(trial.path), trial.announced
    places = targets(load(ArchiverSettings))
    stores = {target.endpoint.url if target.endpoint else "": EmptyStore() for target in places.values()}
    archiver = Archiver(_Table(), fetcher, places, stores, Notes(), lenient=trial.lenient)
    failed = "archiver-cluster" if message.service in places else "archiver-service"
    return await handled(row, archiver.handle(message, trial.delivery()), "archiver-archived", lambda: failed)
