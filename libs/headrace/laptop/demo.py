"""`demo`: the whole flow at once. `STEPS` has a row for each upload, `CHECKS` one for each check."""

import asyncio
import hashlib
import re
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import aiohttp

from headrace.archives.files import file_chunks
from headrace.cli.lifetime import until_signal
from headrace.cli.output import Output
from headrace.contracts.headers import IDENTITY_HEADER
from headrace.contracts.identity import LOCAL_ORG_ID
from headrace.contracts.status import TERMINAL
from headrace.laptop.demo_senders import SENDERS, Senders
from headrace.laptop.following import Flow, Trail, soon
from headrace.laptop.ingress_client import Acceptance, IngressClient
from headrace.laptop.recommendations import COLUMNS as ADVICE_COLUMNS
from headrace.laptop.recommendations import RosApi, table_rows
from headrace.laptop.stack import LocalOptions, kept_log, started_stack
from headrace.laptop.uploads import OCTETS, Upload, as_cluster, as_organisation
from headrace.local.shape import LocalShape
from headrace.objects.endpoint import S3Endpoint
from headrace.objects.store import ObjectStore
from headrace.runtime.cancellation import end
from headrace.runtime.errors import HeadraceError, Permanent
from headrace.runtime.logging import configure
from headrace.runtime.settings import EngineSettings, ProcessSettings, load
from headrace.samples import KINDS, SampleOptions
from headrace.service.flow import consumers_of
from headrace.service.row import Service
from headrace.web.peer import Peer

# For each sample by itself: a busy machine is slow with all of them.
ARRIVES_WITHIN_SECONDS: Final = 60.0
_TICK_SECONDS: Final = 0.5
_KEYS_SHOWN: Final = 3
ARCHIVE_KEY: Final = re.compile(
    r"archives/compressed/(?P<two>[0-9a-f]{2})/(?P<cluster>(?P=two)[0-9a-f-]{34})/\d{6}/\d{2}/\d{6}\.tar\.gz"
)
# As the ROS document's curl has it: no `type` in the identity, no vendor type on the part, a fixed id.
DOCUMENT_IDENTITY: Final = (
    "eyJpZGVudGl0eSI6eyJhY2NvdW50X251bWJlciI6IjEyMzQ1IiwiaW50ZXJuYWwiOnsib3JnX2lkIjoiMTIzNDUifX19"
)
DOCUMENT_REQUEST_ID: Final = "test-request-123"
DOCUMENT_SAMPLE: Final = SampleOptions(seed=5)


@dataclass(frozen=True)
class Step:
    """One upload; ``make`` writes the file below a directory. ``cluster_id`` is its cluster."""

    name: str
    cluster_id: str
    make: Callable[[Path], Upload]


@dataclass(frozen=True)
class Outcome:
    """The outcome of a check."""

    step: Step
    upload: Upload
    acceptance: Acceptance
    trail: Trail
    known: frozenset[int]


@dataclass(frozen=True)
class Tools:
    """What steps and checks work with."""

    ingress: IngressClient
    flow: Flow
    objects: ObjectStore
    ros: RosApi
    aggregator: Peer
    services: Sequence[Service]
    senders: Senders


# Gives what a person wants to read of it; raises `Permanent` with the reason when it is not as it should be.
Check = Callable[[Tools, Outcome], Awaitable[str]]


def _from_cluster(kind: str, seed: int) -> Step:
    options = SampleOptions(seed=seed)

    def make(directory: Path) -> Upload:
        content_type = KINDS[kind].content_type
        return Upload(
            path=KINDS[kind].generate(directory / kind, options)[0],
            content_type=content_type,
            headers=as_cluster(options.cluster(), content_type, token="demo"),  # noqa: S106 -- any will do here
        )

    return Step(kind, options.cluster(), make)


def _as_the_document_prints(directory: Path) -> Upload:
    return Upload(
        path=KINDS["cost"].generate(directory / "document", DOCUMENT_SAMPLE)[0],
        content_type=OCTETS,
        headers={IDENTITY_HEADER: DOCUMENT_IDENTITY},
        request_id=DOCUMENT_REQUEST_ID,
        request_id_header="x-rh-request-id",
    )


STEPS: Final = (
    _from_cluster("ols", 1),
    _from_cluster("insights", 2),
    _from_cluster("cost", 3),
    _from_cluster("assisted", 4),
    Step("the ROS document's curl", DOCUMENT_SAMPLE.cluster(), _as_the_document_prints),
)


async def archived(tools: Tools, outcome: Outcome) -> str:
    """Check the archive: its key is correct and its bytes are those that were sent."""
    archives = await tools.flow.archives(outcome.upload.request_id, outcome.acceptance.org_id)
    wanted = await _digest(file_chunks(outcome.upload.path))
    # A request id that was used before, for other bytes, has more than one.
    for archive in reversed(archives):
        async with tools.objects.get(archive.bucket, archive.key) as chunks:
            if await _digest(chunks) != wanted:
                continue
        if ARCHIVE_KEY.fullmatch(archive.key) is None:
            raise Permanent(f"archived under the key {archive.key}")
        return f"s3://{archive.bucket}/{archive.key}"
    raise Permanent(f"none of its {len(archives)} archives contains the bytes that were sent")


async def recommended(tools: Tools, outcome: Outcome) -> str:
    """Check that each workload of a cost archive was processed, and that some have recommendations."""
    if outcome.upload.service != "hccm":
        return ""
    workloads = await tools.ros.rows("workloads", outcome.acceptance.org_id, outcome.step.cluster_id)

    async def look() -> bool | None:
        ended = [
            hop
            for hop in await tools.flow.hops(outcome.upload.request_id, outcome.acceptance.org_id)
            if hop.service == "ros-poller" and hop.status in TERMINAL and hop.id not in outcome.known
        ]
        return len(ended) >= len(workloads) or None

    await soon(look, f"not all of its {len(workloads)} workloads were processed")
    found = await tools.ros.rows("recommendations", outcome.acceptance.org_id, outcome.step.cluster_id)
    if not found:
        raise Permanent(f"none of its {len(workloads)} workloads has a recommendation")
    return f"{len(found)} containers of {len(workloads)} workloads"


async def judged(tools: Tools, outcome: Outcome) -> str:
    """Return what the rules found in a cluster's archive, according to the aggregator."""
    if outcome.upload.service != "openshift":
        return ""
    organisation = outcome.acceptance.org_id
    answer = await tools.aggregator.call(
        "GET",
        f"/api/v1/organizations/{int(organisation)}/clusters/{outcome.step.cluster_id}/users/1/report",
        headers=as_organisation(organisation),
    )
    if answer.status != 200:
        raise Permanent(f"the results aggregator answers {answer.shown}")
    keys = sorted(hit["key"] for hit in answer.body["report"]["reports"])
    more = f" and {len(keys) - _KEYS_SHOWN} more" if len(keys) > _KEYS_SHOWN else ""
    return f"{len(keys)}: {', '.join(keys[:_KEYS_SHOWN])}{more}"


CHECKS: Final[tuple[tuple[str, Check], ...]] = (
    ("archive", archived),
    ("rule hits", judged),
    ("recommendations", recommended),
)


async def demo(services: Sequence[Service], options: LocalOptions, *, once: bool) -> None:
    """Start, send, show; then keep running until a signal, or with ``once`` exit."""
    # The tables are what is to be seen here; the services' own lines are for `up`.
    configure(
        "WARNING",
        "text" if sys.stdout.isatty() else "json",
        kept=kept_log(options.directory),
        kept_level=load(ProcessSettings).log_level,
    )
    output = Output()

    async def work(shape: LocalShape, stop: asyncio.Event) -> None:
        watching = asyncio.create_task(shape.host.run(stop))
        showing = asyncio.create_task(_show(services, shape, output))
        try:
            await asyncio.wait({watching, showing}, return_when=asyncio.FIRST_COMPLETED)
            failures = await showing if showing.done() else []
            if not watching.done() and not once:
                output.line("the stack keeps running; Ctrl-C stops it")
            if watching.done() or not once:
                await watching
        finally:
            await end(watching, showing)
        if failures:
            raise Permanent("; ".join(failures))

    await until_signal(started_stack(services, options, output), work)


async def _show(services: Sequence[Service], shape: LocalShape, output: Output) -> list[str]:
    """Send everything and print the results; returns the reasons of failures."""
    began = time.monotonic()
    failures: list[str] = []
    rows: list[tuple[object, ...]] = []
    with tempfile.TemporaryDirectory(prefix="headrace-demo-") as directory:
        async with _tools(services, shape) as tools:
            for step in STEPS:
                upload = await asyncio.to_thread(step.make, Path(directory))
                seen, wrong = await _step(tools, step, upload, output)
                rows.append((step.name, upload.request_id, upload.size_bytes, *seen))
                failures += [f"{step.name} ({upload.request_id}): {reason}" for reason in wrong[:1]]
            sent, unsent = await _senders(tools.senders, output)
            shown = await tools.ros.rows("recommendations", LOCAL_ORG_ID, DOCUMENT_SAMPLE.cluster())
    advice = list(table_rows(shown))
    output.table(ADVICE_COLUMNS, advice, title="recommendations from the ROS document's upload")
    output.line()
    output.table(("sent", "request id", "bytes", *(name for name, _ in CHECKS)), rows)
    output.line()
    output.table(("sender", "contents", "archive"), sent)
    output.line()
    arrived = len(STEPS) - len(failures)
    arrived_too = len(SENDERS) - len(unsent)
    output.line(
        f"{arrived} of {len(STEPS)} payloads and the data of {arrived_too} of {len(SENDERS)} senders "
        f"arrived within {time.monotonic() - began:.1f} s"
    )
    failures += unsent
    for failure in failures:
        output.line(failure, style="red")
    return failures


async def _senders(senders: Senders, output: Output) -> tuple[list[tuple[object, ...]], list[str]]:
    """Let each sender of the stack send; returns a row for each and the reasons of failures."""
    rows: list[tuple[object, ...]] = []
    failures: list[str] = []
    for name, sends in SENDERS:
        try:
            async with _progress(output, partial("{}: waiting for what it sends".format, name)):
                rows.append((name, *await sends(senders)))
        except HeadraceError as error:
            rows.append((name, "", ""))
            failures.append(f"{name}: {error}")
    return rows, failures


@asynccontextmanager
async def _progress(output: Output, what: Callable[[], str]) -> AsyncIterator[None]:
    """Say what is waited for, and for how long, while the block lasts."""
    began = time.monotonic()

    async def tick() -> None:
        while True:
            await asyncio.sleep(_TICK_SECONDS)
            tell(f"{what()} ({time.monotonic() - began:.0f} s)")

    with output.waiting(what()) as tell:
        ticking = asyncio.create_task(tick())
        try:
            yield
        finally:
            await end(ticking)


async def _step(tools: Tools, step: Step, upload: Upload, output: Output) -> tuple[list[str], list[str]]:
    """Send one upload and check it; returns what each check saw and the reasons of failures."""
    trail = Trail(upload.request_id)
    async with _progress(output, lambda: f"{step.name}: {_awaited(trail)}"):
        return await _sent(tools, step, upload, trail, output)


def _awaited(trail: Trail) -> str:
    return f"waiting for {', '.join(sorted(trail.missing))}" if trail.missing else "sending and checking"


async def _sent(
    tools: Tools, step: Step, upload: Upload, trail: Trail, output: Output
) -> tuple[list[str], list[str]]:
    known = frozenset(hop.id for hop in await tools.flow.hops(upload.request_id))
    try:
        acceptance = await tools.ingress.send(upload)
        services = consumers_of(tools.services, upload.service)
        follow = tools.flow.follow(
            trail,
            services=services,
            org_id=acceptance.org_id,
            known=known,
            within_seconds=ARRIVES_WITHIN_SECONDS,
        )
        rows = [
            (hop.milliseconds_after(acceptance.sent_at), hop.service, hop.status, hop.message)
            async for hop in follow
            if hop.tells
        ]
    except HeadraceError as error:
        return ["" for _ in CHECKS], [str(error)]
    title = f"{step.name}: {upload.path.name}, {upload.size_bytes} bytes, {acceptance.status}, {upload.request_id}"
    output.table(("ms", "service", "status", "message"), rows, title=title)
    output.line()
    if wrong := trail.problems:
        return ["" for _ in CHECKS], wrong
    return await _checked(tools, Outcome(step, upload, acceptance, trail, known))


async def _checked(tools: Tools, outcome: Outcome) -> tuple[list[str], list[str]]:
    seen, wrong = [], []
    for _, check in CHECKS:
        try:
            seen.append(await check(tools, outcome))
        except HeadraceError as error:
            seen.append("")
            wrong.append(str(error))
    return seen, wrong


@asynccontextmanager
async def _tools(services: Sequence[Service], shape: LocalShape) -> AsyncIterator[Tools]:
    shown = shape.urls()
    urls = {name: row["url"] for name, row in shown["services"].items()}
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(aiohttp.ClientSession())
        objects = await ObjectStore.open(S3Endpoint.of(load(EngineSettings)))
        stack.push_async_callback(objects.close)
        flow = Flow(session, urls["payload_tracker"], urls.get("archiver", ""))
        ros = RosApi(session, urls["ros_api"])
        aggregator = Peer(session, urls["results_aggregator"], name="the results aggregator")
        senders = Senders(
            ols=Peer(session, urls["ols"], name="LightSpeed"),
            assisted=Peer(session, urls["assisted_events"], name="the assisted installer's events"),
            admin=Peer(session, shown["admin"]["health"].removesuffix("/health"), name="the stack's health"),
            flow=flow,
            objects=objects,
        )
        yield Tools(
            IngressClient(session, urls["ingress"]), flow, objects, ros, aggregator, services, senders
        )


async def _digest(chunks: AsyncIterator[bytes]) -> str:
    digest = hashlib.sha256()
    async for chunk in chunks:
        digest.update(chunk)
    return digest.hexdigest()
