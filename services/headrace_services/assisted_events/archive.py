"""Builds a cluster's archive: sanitised members in a temporary file, then a tar.gz on disk, with little memory.

Equal rows give equal bytes, so an archive that was uploaded twice can be recognised.
"""

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import IO, Final

from headrace.archives import Entry, write_archive
from headrace.archives.assisted import IndentedArray, entries
from headrace.contracts.assisted import EVENTS_MEMBER, HOSTS_MEMBER
from headrace.runtime.errors import Permanent
from headrace.runtime.temporary import disk, temporary_file
from headrace_services.assisted_events.credentials import BadCredentials, Credentials, choose
from headrace_services.assisted_events.credentials import Entry as Identity
from headrace_services.assisted_events.sanitising import Model, Sanitiser, with_identity
from headrace_services.assisted_events.settings import AssistedSettings
from headrace_services.assisted_events.store import InstallerStore, Snapshot

_CHUNK_BYTES: Final = 256 * 1024
NOBODY: Final = Identity()


class NothingToSend(Permanent):
    """The cluster is not (or no longer) in the installer's tables."""


class TooLarge(Permanent):
    """The archive's members exceed ASSISTED_MAX_ARCHIVE_BYTES."""


@dataclass(frozen=True)
class Archive:
    """A finished archive in an unnamed file, which is deleted when it is closed."""

    cluster_id: str
    file: IO[bytes]
    size_bytes: int
    sha256: str
    hosts: int
    events: int

    def chunks(self) -> Iterator[bytes]:
        """Yield its bytes from the start."""
        return _slices(self.file, 0, self.size_bytes)


@dataclass
class Section:
    """An array in the temporary file; added items are written immediately."""

    spool: "Spool"
    start: int
    size_bytes: int = 0
    count: int = 0
    array: IndentedArray = field(default_factory=IndentedArray)

    def add(self, models: list[Model]) -> None:
        """Add items."""
        self.size_bytes += self.spool.write(self.array.add(models))
        self.count += len(models)

    def end(self) -> None:
        """End the array."""
        self.size_bytes += self.spool.write(self.array.end())

    def entry(self, name: str) -> Entry:
        """Return the array as a member of the archive."""
        return Entry(name, self.size_bytes, _slices(self.spool.file, self.start, self.size_bytes))


class Spool:
    """An unnamed temporary file of limited size."""

    def __init__(self, file: IO[bytes], max_bytes: int, directory: str | None) -> None:
        self.file = file
        self._max_bytes = max_bytes
        self._directory = directory
        self._size = 0

    def section(self) -> Section:
        """Begin the next array."""
        return Section(self, self._size)

    def write(self, data: bytes) -> int:
        """Append bytes and return their number; raises `TooLarge`."""
        self._size += len(data)
        if self._size > self._max_bytes:
            raise TooLarge(f"the archive's members have more than {self._max_bytes} bytes")
        # Only the write is wrapped; errors of the database inside a larger block would count as the disk's.
        with disk(self._directory):
            self.file.write(data)
        return len(data)


def _slices(file: IO[bytes], start: int, size_bytes: int) -> Iterator[bytes]:
    # pread does not move the position of the file.
    for at in range(start, start + size_bytes, _CHUNK_BYTES):
        yield os.pread(file.fileno(), min(_CHUNK_BYTES, start + size_bytes - at), at)


@dataclass(frozen=True)
class Builder:
    """Builds archives of one installer's clusters."""

    store: InstallerStore
    settings: AssistedSettings

    @asynccontextmanager
    async def build(self, cluster_id: str, management_secret: str) -> AsyncIterator[Archive]:
        """Build the archive of a cluster that may be sent.

        Raises `BadCredentials` (see `credentials.choose`), `NothingToSend`, `TooLarge`, `Retryable`.
        """
        credentials = await self.credentials(cluster_id, management_secret)
        async with self._archive(cluster_id, credentials.identity) as archive:
            yield archive

    async def credentials(self, cluster_id: str, management_secret: str) -> Credentials:
        """Return the present credentials for a cluster's archive; raises like `build`."""
        async with self.store.snapshot(cluster_id) as snapshot:
            _, secret = await self._cluster(snapshot)
        return choose(management_secret, secret, either=self.settings.either_pull_secret)

    @asynccontextmanager
    async def preview(self, cluster_id: str, management_secret: str) -> AsyncIterator[Archive]:
        """Build the same archive, even without credentials to send it."""
        try:
            identity = (await self.credentials(cluster_id, management_secret)).identity
        except BadCredentials:
            identity = NOBODY
        async with self._archive(cluster_id, identity) as archive:
            yield archive

    @asynccontextmanager
    async def _archive(self, cluster_id: str, identity: Identity) -> AsyncIterator[Archive]:
        directory = self.settings.spool_directory or None
        with disk(directory), temporary_file(directory) as spooled, temporary_file(directory) as finished:
            spool = Spool(spooled, self.settings.max_archive_bytes, directory)
            async with self.store.snapshot(cluster_id) as snapshot:
                members = await self._members(snapshot, identity, spool)
            await asyncio.to_thread(spooled.flush)
            size, digest = await asyncio.to_thread(_pack, members.entries, members.moment, finished)
            yield Archive(cluster_id, finished, size, digest, members.hosts, members.events)

    async def _cluster(self, snapshot: Snapshot) -> tuple[Model, str]:
        found = await snapshot.cluster()
        if found is None:
            raise NothingToSend("the installer has no such cluster")
        return found

    async def _members(self, snapshot: Snapshot, identity: Identity, spool: Spool) -> "_Members":
        raw, _ = await self._cluster(snapshot)
        cluster = with_identity(raw, identity)
        infra_envs = [with_identity(model, identity) for model in await snapshot.infra_envs()]
        sanitiser = Sanitiser.of(
            self.settings.sanitising,
            {
                identity.username,
                identity.email,
                *await snapshot.user_names(),
                *(model.get("user_name") for model in (cluster, *infra_envs)),
            },
        )
        hosts = await _spool(spool, snapshot.hosts(), sanitiser.model)
        events = await _spool(spool, snapshot.events(), sanitiser.texts)
        sent = [sanitiser.model(model) for model in infra_envs]
        top = snapshot.cluster_id
        made = entries(
            top,
            cluster=sanitiser.model(cluster),
            hosts=hosts.entry(f"{top}/{HOSTS_MEMBER}") if hosts.count else None,
            infra_env=sent[0] if sent else None,
            events=events.entry(f"{top}/{EVENTS_MEMBER}"),
            versions=self.settings.versions,
            deployment=self.settings.deployment,
            more_infra_envs=sent[1:] if self.settings.all_infra_envs else [],
        )
        return _Members(made, _moment(raw), hosts.count, events.count)


@dataclass(frozen=True)
class _Members:
    entries: Iterator[Entry]
    moment: datetime
    hosts: int
    events: int


async def _spool(
    spool: Spool, batches: AsyncIterator[list[Model]], sanitise: Callable[[Model], Model]
) -> Section:
    section = spool.section()

    def add(batch: list[Model]) -> None:
        section.add([sanitise(model) for model in batch])

    async for batch in batches:
        # The conversion is CPU-bound, so a thread does it.
        await asyncio.to_thread(add, batch)
    await asyncio.to_thread(section.end)
    return section


def _pack(members: Iterator[Entry], moment: datetime, file: IO[bytes]) -> tuple[int, str]:
    digest, size = hashlib.sha256(), 0
    for chunk in write_archive(members, modified=moment):
        file.write(chunk)
        digest.update(chunk)
        size += len(chunk)
    file.flush()
    return size, digest.hexdigest()


def _moment(cluster: Model) -> datetime:
    """Return the time of the members: the cluster's, so that equal rows give equal bytes at any time."""
    text = cluster.get("status_updated_at") or cluster.get("updated_at") or "1970-01-01T00:00:00Z"
    return datetime.fromisoformat(text)
