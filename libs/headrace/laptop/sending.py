"""`send` and `trace`."""

import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import aiohttp
import orjson

from headrace.cli.output import Output
from headrace.contracts.identity import LOCAL_ORG_ID
from headrace.contracts.message import rfc3339
from headrace.laptop.following import Flow, Hop, Trail
from headrace.laptop.ingress_client import Acceptance, IngressClient
from headrace.laptop.pages import console_of, payload_page
from headrace.laptop.uploads import (
    Upload,
    assumed_cluster,
    content_type_of,
    named_type,
    sender,
    service_of,
)
from headrace.run_file import service_url
from headrace.runtime.errors import ConfigurationError, Permanent
from headrace.service.flow import consumers_of
from headrace.service.row import Service

# Where the services' table has another name for it.
_ROWS: Final = {"tracker": "payload_tracker"}


@dataclass(frozen=True, kw_only=True)
class SendOptions:
    """The options of `send`; None means: find out."""

    type: str | None = None
    cluster: str | None = None
    org: str | None = None
    token: str = "local"  # noqa: S105 -- the local shape takes any
    request_id: str | None = None
    follow: bool = False
    within_seconds: float = 60.0


@dataclass(frozen=True)
class Endpoints:
    """The URLs of a stack's services; those that a command does not need are empty."""

    ingress: str = ""
    tracker: str = ""
    archiver: str = ""
    console: str = ""


def endpoints(services: Sequence[Service], directory: Path, **given: str | None) -> Endpoints:
    """Return the URLs of the named services of `Endpoints`: the given, else those of the stack on the directory.

    Where no stack runs there, the documents' ports; raises ConfigurationError where nothing listens at one.
    """
    ports = {row.name: row.port for row in services}

    def url(name: str) -> str:
        return service_url(directory, name, default=f"http://localhost:{ports.get(name)}")

    found = {name: given[name] or url(_ROWS.get(name, name)) for name in given}
    # Of another stack's uploads the console of this one knows nothing.
    return Endpoints(**found, console="" if any(given.values()) else console_of(directory))


async def uploads_of(files: Sequence[Path], options: SendOptions) -> list[Upload]:
    """Return one upload per file; raises ConfigurationError before anything is sent."""
    if options.request_id is not None and len(files) > 1:
        raise ConfigurationError(f"--request-id applies to one upload, got {len(files)} files")
    chosen = {} if options.request_id is None else {"request_id": options.request_id}
    uploads = []
    for path in files:
        kind = await content_type_of(path, options.type)
        headers = sender(options.cluster, options.org, kind, token=options.token)
        note = "" if options.cluster else assumed_cluster(kind)
        uploads.append(Upload(path=path, content_type=kind, headers=headers, note=note, **chosen))
    return uploads


async def send(
    services: Sequence[Service], files: Sequence[Path], options: SendOptions, where: Endpoints
) -> None:
    """Send files one after the other; raises `Permanent` if a followed one did not arrive."""
    output = Output()
    lost = []
    uploads = await uploads_of(files, options)
    async with aiohttp.ClientSession() as session:
        flow = Flow(session, where.tracker, where.archiver)
        for upload in uploads:
            known = await _known(flow, upload, options) if options.follow else frozenset()
            acceptance = await _send_one(IngressClient(session, where.ingress), upload, output)
            if page := payload_page(where.console, acceptance.request_id, acceptance.org_id):
                output.line(f"  {page}")
            if options.follow:
                consumers = consumers_of(services, upload.service)
                trail = Trail(upload.request_id)
                async for hop in flow.follow(
                    trail,
                    services=consumers,
                    org_id=acceptance.org_id,
                    known=known,
                    within_seconds=options.within_seconds,
                ):
                    if hop.tells:
                        show_hop(output, hop, acceptance.sent_at)
                lost += await _show_end(flow, output, trail, acceptance)
    if lost:
        raise Permanent("; ".join(lost))


async def _known(flow: Flow, upload: Upload, options: SendOptions) -> frozenset[int]:
    """Return the statuses of a request id that was used before; a new id needs no request."""
    if options.request_id is None:
        return frozenset()
    org_id = options.org or ("" if options.cluster else LOCAL_ORG_ID)
    # Whose a token is tells the ingress only: a tracker that wants to know beforehand cannot be told.
    with suppress(Permanent):
        return frozenset(hop.id for hop in await flow.hops(upload.request_id, org_id))
    return frozenset()


async def _send_one(ingress: IngressClient, upload: Upload, output: Output) -> Acceptance:
    if upload.note:
        output.line(upload.note)
    with output.transfer(upload.path.name, upload.size_bytes) as advance:
        acceptance = await ingress.send(upload, advance)
    output.line(
        f"{upload.path}  {upload.content_type}  {upload.size_bytes} bytes  {acceptance.status}  "
        f"request id {acceptance.request_id}  {acceptance.seconds * 1000:.0f} ms"
    )
    return acceptance


def show_hop(output: Output, hop: Hop, start: datetime) -> None:
    """Print one status with its time since then."""
    output.line(
        f"  {hop.milliseconds_after(start):>6} ms  {hop.service:<16} {hop.status:<10} {hop.message}",
        style="red" if hop.status == "error" else "",
    )


async def _show_end(flow: Flow, output: Output, trail: Trail, acceptance: Acceptance) -> list[str]:
    for archive in await flow.archives(trail.request_id, acceptance.org_id):
        output.line(f"  archived as s3://{archive.bucket}/{archive.key}")
    return [f"{trail.request_id}: {', '.join(trail.problems)}"] if trail.problems else []


@dataclass(frozen=True)
class FollowOptions:
    """The options of `trace --follow`: what was sent, by whom, and for how long to follow it."""

    type: str
    org: str
    within_seconds: float


async def follow(
    services: Sequence[Service], request_id: str, where: Endpoints, options: FollowOptions
) -> None:
    """Print each status of a payload as it arrives; raises `Permanent` if it does not arrive."""
    output, trail = Output(), Trail(request_id)
    consumers = consumers_of(services, service_of(named_type(options.type)))
    async with aiohttp.ClientSession() as session:
        flow = Flow(session, where.tracker, where.archiver)
        async for hop in flow.follow(
            trail, services=consumers, org_id=options.org, within_seconds=options.within_seconds
        ):
            if hop.tells:
                show_hop(output, hop, trail.hops[0].date)
        for archive in await flow.archives(request_id, options.org):
            output.line(f"  archived as s3://{archive.bucket}/{archive.key}")
    if trail.problems:
        raise Permanent(f"{request_id}: {', '.join(trail.problems)}")


async def trace(request_id: str, where: Endpoints, *, org: str | None = None, as_json: bool) -> None:
    """Print the statuses of an organisation's request, in JSON also those that tell nothing.

    Raises `Permanent` if the tracker does not know it.

    Without ``org`` an open tracker, like the local shape's, shows every payload with the id.
    """
    async with aiohttp.ClientSession() as session:
        flow = Flow(session, where.tracker, where.archiver)
        hops = await flow.hops(request_id, org or "")
        if not hops:
            raise Permanent(f"the tracker at {where.tracker} has no payload {request_id}")
        owners = [org] if org else sorted({hop.org_id for hop in hops if hop.org_id})
        archives = [archive for owner in owners for archive in await flow.archives(request_id, owner)]
    if as_json:
        print(orjson.dumps({"request_id": request_id, "hops": hops, "archives": archives}).decode())
        return
    output = Output(sys.stdout)
    start = hops[0].date
    rows = [
        (rfc3339(hop.date), hop.milliseconds_after(start), hop.service, hop.status, hop.message)
        for hop in hops
        if hop.tells
    ]
    output.table(("date", "ms", "service", "status", "message"), rows)
    for archive in archives:
        output.line(f"archived as s3://{archive.bucket}/{archive.key}")
    if page := payload_page(where.console, request_id, org or ""):
        output.line(page)
