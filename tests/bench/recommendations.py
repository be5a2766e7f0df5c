"""From the answer 202 to recommendations in the ROS database, whole cost archives at a steady rate."""

import asyncio
import tempfile
import time
import uuid
from pathlib import Path

import aiohttp
import asyncpg

from headrace.contracts.identity import Identity, Internal, System, encode_identity
from headrace.runtime.settings import EngineSettings
from headrace.samples import KINDS, SampleOptions
from tests.bench.load import Load, multipart_body
from tests.bench.report import Figure
from tests.waiting import eventually

TITLE = "From 202 to recommendations"
RATE_PER_SECOND = 10
SECONDS = 15
ORG_ID = "1"
TEXT = (
    f"{RATE_PER_SECOND} cost archives a second, each of another cluster and a day long, sent at their times whether or "
    "not earlier ones are through; from the moment the sender has its 202 to the commit of the first and of the last "
    "recommendation of its cluster, as PostgreSQL's clock on the same machine has it. Ingress, kruize, and koku with "
    "processor, poller and Sources API are three processes."
)
_COMMITTED = (
    "SELECT c.cluster_uuid, min(r.updated_at), max(r.updated_at), count(DISTINCT r.workload_id)"
    " FROM (SELECT workload_id, updated_at FROM recommendation_sets"
    " UNION ALL SELECT workload_id, updated_at FROM namespace_recommendation_sets) r"
    " JOIN workloads w ON w.id = r.workload_id JOIN clusters c ON c.id = w.cluster_id GROUP BY 1"
)


async def measure(ingress_url: str, api_url: str, settings: EngineSettings) -> list[Figure]:
    """Percentiles of the latency, and what one upload makes."""
    count = RATE_PER_SECOND * SECONDS
    with tempfile.TemporaryDirectory() as directory:
        bodies = await asyncio.to_thread(_bodies, Path(directory), count + 1)
    database = await asyncpg.connect(settings.postgres.rpartition("/")[0] + "/postgres")
    try:
        async with aiohttp.ClientSession() as session:
            # Not counted: sources, profile and partitions are made with the first.
            warm, body = bodies.pop()
            await _upload(session, ingress_url, warm, body, {})
            each = await _workloads_of(database, warm)
            answered = await _send_all(session, ingress_url, bodies)
            await _all_through(database, set(answered), each)
            await _is_readable(session, api_url, bodies[-1][0])
        rows = {row[0]: row for row in await database.fetch(_COMMITTED)}
    finally:
        await database.close()
    first = Load(1.0, [rows[cluster][1].timestamp() - at for cluster, at in answered.items()])
    last = Load(1.0, [rows[cluster][2].timestamp() - at for cluster, at in answered.items()])
    return [
        Figure("experiments an upload", str(each)),
        Figure("first recommendation, p50", f"{first.percentile(0.5) * 1000:.0f} ms"),
        Figure("first recommendation, p99", f"{first.percentile(0.99) * 1000:.0f} ms", bar="< 1000 ms"),
        Figure("last recommendation, p50", f"{last.percentile(0.5) * 1000:.0f} ms"),
        Figure("last recommendation, p99", f"{last.percentile(0.99) * 1000:.0f} ms", bar="< 1000 ms"),
    ]


def _bodies(directory: Path, count: int) -> list[tuple[str, bytes]]:
    """Cluster and form of each upload."""
    made = []
    for number in range(count):
        options = SampleOptions(seed=10_000 + number)
        path = KINDS["cost"].generate(directory / str(number), options)[0]
        made.append((options.cluster(), multipart_body(path.read_bytes(), KINDS["cost"].content_type)))
    return made


async def _send_all(
    session: aiohttp.ClientSession, url: str, bodies: list[tuple[str, bytes]]
) -> dict[str, float]:
    answered: dict[str, float] = {}
    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for number, (cluster, body) in enumerate(bodies):
            await asyncio.sleep(max(0.0, began + number / RATE_PER_SECOND - time.perf_counter()))
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
