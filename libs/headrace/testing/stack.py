"""A running stack: uploads into it, payloads of it, and outages of its engines."""

import asyncio
import shutil
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Final

import aiohttp

from headrace.contracts.identity import LOCAL_ORG_ID
from headrace.laptop import holding
from headrace.laptop.following import Flow
from headrace.laptop.ingress_client import IngressClient
from headrace.laptop.status import statuses
from headrace.laptop.uploads import Upload, content_type_of, named_type, sender, service_of
from headrace.run_file import running_stack
from headrace.runtime.errors import ConfigurationError, Permanent
from headrace.service.flow import consumers_of
from headrace.service.row import Service
from headrace.testing.payloads import AsyncPayload, Payload
from headrace.testing.places import Places
from headrace.testing.sessions import Session
from headrace.testing.waiting import run_now

_WELL_SECONDS: Final = 90.0
_POLL_SECONDS: Final = 0.1
_NAME: Final = "upload.tar.gz"
_TOKEN: Final = "pytest"  # noqa: S105 -- the local shape takes any


class AsyncHeadrace:
    """The stack for async tests; `Headrace` has the same for others."""

    def __init__(self, places: Places, services: Sequence[Service], session: Session | None = None) -> None:
        self.places = places
        self._services = services
        self._session = session
        # Of the present test; who shows its failure empties it.
        self.payloads: list[AsyncPayload] = []

    async def upload(
        self,
        file: Path | str | bytes,
        *,
        type: str | None = None,  # noqa: A002 -- as the command calls it
        cluster: str | None = None,
        org: str | None = None,
        token: str = _TOKEN,
        request_id: str | None = None,
    ) -> AsyncPayload:
        """Upload a file, or bytes, as a sender does, and return the payload once ingress has accepted it.

        ``type`` is a kind of sample (``ols``, ``insights`` …) or a content type; without it the file shows its type.
        ``cluster`` sends as that cluster's operator, ``org`` with the identity of that organisation. Raises `Permanent`
        with ingress' answer if it refuses the upload.
        """
        if isinstance(file, bytes):
            path = await asyncio.to_thread(_kept, file)
            try:
                return await self._upload(path, type, cluster, org, token, request_id)
            finally:
                await asyncio.to_thread(shutil.rmtree, path.parent)
        return await self._upload(Path(file), type, cluster, org, token, request_id)

    def payload(self, request_id: str, *, type: str, org: str = LOCAL_ORG_ID) -> AsyncPayload:  # noqa: A002
        """Return the payload that your own sender uploaded, by the request id in ingress' answer.

        ``type`` says what was sent, as for `upload`, and with that which services will report on it.
        """
        return self._payload(request_id, service_of(named_type(type)), org)

    @asynccontextmanager
    async def without(self, engine: str) -> AsyncIterator[None]:
        """Stop an engine (``kafka``, ``s3``, ``postgres``) inside; afterwards it and all services are well again.

        With pytest-xdist this waits until no other test uses the stack, and lets none begin.
        """
        await self.stop(engine)
        try:
            yield
        finally:
            await self.start(engine)

    async def stop(self, engine: str) -> None:
        """Stop an engine; `start` has to follow."""
        directory = self._directory()
        if self._session:
            await asyncio.to_thread(self._session.take_alone)
        try:
            await asyncio.to_thread(holding.hold, directory, engine)
        except BaseException:
            self._give_back()
            raise

    async def start(self, engine: str) -> None:
        """Start a stopped engine; returns when it and all services are well."""
        directory = self._directory()
        try:
            await asyncio.to_thread(holding.release, directory, engine)
            await _until_well(directory)
        finally:
            self._give_back()

    def _give_back(self) -> None:
        if self._session:
            self._session.give_back()

    async def _upload(
        self,
        path: Path,
        type_: str | None,
        cluster: str | None,
        org: str | None,
        token: str,
        request_id: str | None,
    ) -> AsyncPayload:
        content_type = await content_type_of(path, type_)
        headers = sender(cluster, org, content_type, token=token)
        chosen = request_id or uuid.uuid4().hex
        upload = Upload(path=path, content_type=content_type, headers=headers, request_id=chosen)
        async with aiohttp.ClientSession() as session:
            known: frozenset[int] = frozenset()
            if request_id:
                flow = Flow(session, self.places.service("payload_tracker"))
                known = frozenset(hop.id for hop in await flow.hops(request_id, org or LOCAL_ORG_ID))
            acceptance = await IngressClient(session, self.places.service("ingress")).send(upload)
        return self._payload(chosen, upload.service, acceptance.org_id, known)

    def _payload(
        self, request_id: str, service: str, org_id: str, known: frozenset[int] = frozenset()
    ) -> AsyncPayload:
        payload = AsyncPayload(
            places=self.places,
            request_id=request_id,
            service=service,
            org_id=org_id,
            consumers=consumers_of(self._services, service),
            known=known,
        )
        self.payloads.append(payload)
        return payload

    def _directory(self) -> Path:
        if self.places.directory is None:
            raise ConfigurationError(
                "an engine can be stopped only of a stack on this machine: HEADRACE_STACK names its directory"
            )
        return self.places.directory


class Headrace:
    """A running stack. ``aio`` has the same calls for async tests."""

    def __init__(self, places: Places, services: Sequence[Service], session: Session | None = None) -> None:
        self.aio = AsyncHeadrace(places, services, session)

    @property
    def urls(self) -> Mapping[str, str]:
        """The URL of each service that has one, by its name."""
        return self.aio.places.services

    @property
    def upload_url(self) -> str:
        """Where a sender posts its uploads."""
        return f"{self.urls['ingress']}/api/ingress/v1/upload"

    @property
    def kafka(self) -> str:
        """``host:port`` of the broker."""
        return self.aio.places.kafka

    @property
    def s3(self) -> str:
        """URL of the S3 server, with its keys."""
        return self.aio.places.s3

    @property
    def postgres(self) -> str:
        """URL of PostgreSQL."""
        return self.aio.places.postgres

    def upload(
        self,
        file: Path | str | bytes,
        *,
        type: str | None = None,  # noqa: A002
        cluster: str | None = None,
        org: str | None = None,
        token: str = _TOKEN,
        request_id: str | None = None,
    ) -> Payload:
        """Upload a file, or bytes, as a sender does; see `AsyncHeadrace.upload`."""
        __tracebackhide__ = True
        work = self.aio.upload(file, type=type, cluster=cluster, org=org, token=token, request_id=request_id)
        return Payload(run_now(work))

    def payload(self, request_id: str, *, type: str, org: str = LOCAL_ORG_ID) -> Payload:  # noqa: A002
        """Return the payload that your own sender uploaded; see `AsyncHeadrace.payload`."""
        return Payload(self.aio.payload(request_id, type=type, org=org))

    @contextmanager
    def without(self, engine: str) -> Iterator[None]:
        """Stop an engine inside; see `AsyncHeadrace.without`."""
        __tracebackhide__ = True
        run_now(self.aio.stop(engine))
        try:
            yield
        finally:
            run_now(self.aio.start(engine))


def _kept(content: bytes) -> Path:
    path = Path(tempfile.mkdtemp(prefix="headrace-upload-"), _NAME)
    path.write_bytes(content)
    return path


async def _until_well(directory: Path) -> None:
    deadline = time.monotonic() + _WELL_SECONDS
    while ill := [part for part in await statuses(running_stack(directory)) if not part.is_well]:
        if time.monotonic() > deadline:
            told = "; ".join(f"{part.part} is {part.state}: {part.detail}" for part in ill)
            raise Permanent(f"the stack is not well again after {_WELL_SECONDS:.0f} s: {told}")
        await asyncio.sleep(_POLL_SECONDS)
