"""From the answer 202 to recommendations in the ROS database, whole cost archives at a steady rate."""

import asyncio
import tempfile
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import asyncpg

from headrace.archives import Entry
from headrace.contracts.identity import Identity, Internal, System, encode_identity
from headrace.runtime.settings import EngineSettings
from headrace.samples import KINDS, SampleOptions
from headrace.samples.files import json_entry, write_archive_file
from tests.bench.load import Load, multipart_body
from tests.bench.report import Figure
from tests.unit.ros_processor.files import documented_sample
from tests.waiting import eventually

TITLE = "From 202 to recommendations"
SECONDS = 15
WARM = 10
ORG_ID = "1"
TEXT = (
    "Cost archives sent at their times whether or not earlier ones are through, each of a cluster that was never seen: "
    "10 a second with the ROS document's sample (105 rows, 3 experiments), 2 a second with `headrace sample cost` "
    "(1,500 rows, 11 experiments). From the moment the sender has its 202 to the commit of the first and of the last "
    "recommendation of its cluster, by PostgreSQL's clock on the same machine. Ingress; tracker and archiver; kruize; "
    "koku, processor, poller, Sources and ROS API are four processes on the same two cores as Kafka, S3, PostgreSQL "
    "and the sender."
)
_COMMITTED = (
    "SELECT c.cluster_uuid, min(r.updated_at), max(r.updated_at), count(DISTINCT r.workload_id)"
    " FROM (SELECT workload_id, updated_at FROM recommendation_sets"
    " UNION ALL SELECT workload_id, updated_at FROM namespace_recommendation_sets) r"
    " JOIN workloads w ON w.id = r.workload_id JOIN clusters c ON c.id = w.cluster_id GROUP BY 1"
)


@dataclass(frozen=True)
class Kind:
    """One load: the archive of each cluster, and how many come in a second."""

    name: str
    rate_per_second: float
    make: Callable[[Path, SampleOptions], Path]
    bar: str = ""


def _documented(directory: Path, options: SampleOptions) -> Path:
    """The document's sample in a cost archive."""
    name = "ros-openshift-container-202608.0.csv"
    manifest = {
        "uuid": options.cluster(),
        "cluster_id": options.cluster(),
        "version": "4.1.0",
        "date": "2026-08-01T10:00:00Z",
        "files": [],
        "resource_optimization_files": [name],
    }
    entries = [json_entry("manifest.json", manifest), Entry.of(name, documented_sample())]
    return write_archive_file(directory / "cost-mgmt.tar.gz", entries, options.now)


def _generated(directory: Path, options: SampleOptions) -> Path:
    return KINDS["cost"].generate(directory, options)[0]


LOADS = (
    Kind("the document's sample, 10/s", 10, _documented, "< 1000 ms"),
    Kind("headrace sample cost, 2/s", 2, _generated),
)


async def measure(ingress_url: str, api_url: str, settings: EngineSettings) -> list[Figure]:
    """Percentiles of the latency of each load."""
    database = await asyncpg.connect(settings.postgres.rpartition("/")[0] + "/postgres")
    try:
        async with aiohttp.ClientSession() as session:
            return [
                figure
                for number, load in enumerate(LOADS)
                for figure in await _measure(load, number, session, ingress_url, api_url, database)
            ]
    finally:
        await database.close()


async def _measure(
    load: Kind,
    number: int,
    session: aiohttp.ClientSession,
    ingress_url: str,
    api_url: str,
    database: "asyncpg.Connection[asyncpg.Record]",
) -> list[Figure]:
    count = int(load.rate_per_second * SECONDS)
    with tempfile.TemporaryDirectory() as directory:
        bodies = await asyncio.to_thread(_bodies, load, Path(directory), 10_000 * (number + 1), count + WARM)
    # Not counted: sources, profile, partitions and compiled code are made with the first.
    for cluster, body in bodies[:WARM]:
        await _upload(session, ingress_url, cluster, body, {})
    each = await _workloads_of(database, bodies[WARM - 1][0])
    answered = await _send_all(session, ingress_url, bodies[WARM:], load.rate_per_second)
    await _all_through(database, set(answered), each)
    await _is_readable(session, api_url, bodies[-1][0])
    rows = {row[0]: row for row in await database.fetch(_COMMITTED)}
    figures = [Figure(f"{load.name}: recommendations an upload", str(each))]
    for which, column in (("first", 1), ("last", 2)):
        delays = Load(1.0, [rows[cluster][column].timestamp() - at for cluster, at in answered.items()])
        figures += [
            Figure(f"{load.name}: {which}, p50", f"{delays.percentile(0.5) * 1000:.0f} ms"),
            Figure(f"{load.name}: {which}, p99", f"{delays.percentile(0.99) * 1000:.0f} ms", bar=load.bar),
        ]
    return figures


def _bodies(load: Kind, directory: Path, seed: int, count: int) -> list[tuple[str, bytes]]:
    """Cluster and form of each upload."""
    made = []
    for number in range(count):
        options = SampleOptions(seed=seed + number)
        path = load.make(directory / str(number), options)
        made.append((options.cluster(), multipart_body(path.read_bytes(), KINDS["cost"].content_type)))
    return made


async def _send_all(
    session: aiohttp.ClientSession, url: str, bodies: list[tuple[str, bytes]], rate_per_second: float
) -> dict[str, float]:
    answered: dict[str, float] = {}
    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for number, (cluster, body) in enumerate(bodies):
            await asyncio.sleep(max(0.0, began + number / rate_per_second - time.perf_counter()))
            group.create_task(_upload(session, url, cluster, body, answered))
    return answered


async def _upload(
    session: aiohttp.ClientSession, url: str, cluster: str, body: bytes, answered: dict[str, float]
) -> None:
    identity = Identity(
        account_number=ORG_ID,
        org_id=ORG_ID,
        type="System",
        internal=Internal(org_id=ORG_ID),
        system=System(cluster_id=cluster),
    )
    boundary = body[2 : body.index(b"\r\n")].decode()
    headers = {
        "Content-Type": f"multipart/form-data; boundary={boundary}",
        "x-rh-identity": encode_identity(identity),
        "x-rh-insights-request-id": uuid.uuid4().hex,
    }
    async with session.post(f"{url}/api/ingress/v1/upload", data=body, headers=headers) as response:
        if response.status != 202:
            raise RuntimeError(f"{response.status}: {await response.text()}")
        answered[cluster] = time.time()


async def _workloads_of(database: "asyncpg.Connection[asyncpg.Record]", cluster: str) -> int:
    """How many experiments an upload makes, once the first is through."""
    seen: list[int] = []

    async def steady() -> bool:
        rows = {row[0]: row[3] for row in await database.fetch(_COMMITTED)}
        seen.append(rows.get(cluster, 0))
        return seen[-1] > 0 and len(seen) > 20 and len(set(seen[-20:])) == 1

    await eventually(steady, within_seconds=60, every_seconds=0.1, describe="the first upload is through")
    return seen[-1]


async def _all_through(database: "asyncpg.Connection[asyncpg.Record]", clusters: set[str], each: int) -> None:
    async def through() -> bool:
        rows = await database.fetch(_COMMITTED)
        return clusters <= {row[0] for row in rows if row[3] >= each}

    await eventually(through, within_seconds=180, every_seconds=0.5, describe="every upload is through")


async def _is_readable(session: aiohttp.ClientSession, api_url: str, cluster: str) -> None:
    header = encode_identity(Identity(org_id=ORG_ID, type="User", internal=Internal(org_id=ORG_ID)))
    url = f"{api_url}/api/ros/v1/recommendations?cluster={cluster}"
    async with session.get(url, headers={"x-rh-identity": header}) as response:
        body = await response.json()
    if response.status != 200 or not body["data"]:
        raise RuntimeError(f"{url} answered {response.status}: {body}")
