"""The lists of payloads, statuses, recommendations, workloads and clusters, in small databases and in large ones."""

import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg

from headrace.contracts.identity import Identity, encode_identity
from headrace.contracts.uploads import CONSUMERS
from headrace.database.migrations import migrate
from headrace.database.pool import Database
from headrace.local.ports import EnginePorts
from headrace.local.stack import Engines
from headrace.rules import SHIPPED_PACK
from headrace.rules.catalogue import Catalogue
from headrace.web.listener import Listener
from headrace_services.payload_tracker import api as tracker
from headrace_services.payload_tracker.settings import TrackerSettings
from headrace_services.payload_tracker.states import States
from headrace_services.payload_tracker.store import TrackerStore
from headrace_services.results_aggregator import api as aggregator
from headrace_services.results_aggregator.settings import AggregatorSettings
from headrace_services.ros_api import api as ros_api
from headrace_services.ros_api.settings import RosApiSettings
from headrace_services.ros_api.store import RosStore
from tests.bench.report import Figure, of_rounds

TITLE = "Lists"
TEXT = (
    "One client asks for the first page of each list again and again; times are from its call to the last byte. "
    "The large databases have `LISTS_PAYLOADS` payloads (1,000,000 by default) with six statuses each, and a tenth as "
    "many workloads and clusters; the small ones a hundredth of that. There are 20 organisations, of which the first "
    "one asks; where the name says so, someone who may see all of them does."
)
LARGE = int(os.environ.get("LISTS_PAYLOADS", "1000000"))
SMALL = max(LARGE // 100, 1000)
ORGANISATIONS = 20
CALLS, ROUNDS = 40, 3
BAR = "p95 < 50 ms"
OPENSHIFT = "/api/cost-management/v1/recommendations/openshift?start_date=2000-01-01"
# The lists need PostgreSQL only; LISTS_POSTGRES names one that is there.
_GIVEN: dict[Any, str] = {"kafka": "127.0.0.1:9", "s3": "http://none:none@127.0.0.1:9"} | (
    {"postgres": os.environ["LISTS_POSTGRES"]} if "LISTS_POSTGRES" in os.environ else {}
)
SERVICES = Path(tracker.__file__).parents[1]
ROS_MIGRATIONS = SERVICES.parents[1] / "libs" / "headrace" / "ros" / "migrations"

Make = Callable[[asyncpg.Connection, int], Awaitable[None]]


@dataclass(frozen=True)
class Urls:
    """Where the three services listen."""

    tracker: str
    aggregator: str
    ros: str


# Name, which service, path, whether someone who may see all asks.
LISTS = (
    ("payloads, upstream's, of all", "tracker", "/api/v1/payloads", True),
    ("payloads, upstream's", "tracker", "/api/v1/payloads", False),
    ("statuses, upstream's, of all", "tracker", "/api/v1/statuses", True),
    ("statuses, upstream's", "tracker", "/api/v1/statuses", False),
    ("payloads with states, of all", "tracker", "/api/v1/headrace/payloads", True),
    ("payloads with states", "tracker", "/api/v1/headrace/payloads", False),
    ("payloads that failed", "tracker", "/api/v1/headrace/payloads?state=failed", False),
    ("payloads in progress, of all", "tracker", "/api/v1/headrace/payloads?state=in_progress", True),
    ("payloads by beginning of id", "tracker", "/api/v1/headrace/payloads?request_id=request-4", True),
    ("payloads of a service", "tracker", "/api/v1/headrace/payloads?service=koku", False),
    ("clusters, upstream's", "aggregator", "/api/v1/organizations/1/clusters", False),
    ("clusters with hits", "aggregator", "/api/v1/headrace/clusters", False),
    ("recommendations, upstream's", "ros", OPENSHIFT, False),
    ("recommendations, the document's", "ros", "/api/ros/v1/recommendations", False),
    ("workloads, the document's", "ros", "/api/ros/v1/workloads", False),
    ("workloads with polls", "ros", "/api/ros/v1/headrace/workloads", False),
    (
        "workloads without recommendation",
        "ros",
        "/api/ros/v1/headrace/workloads?has_recommendation=false",
        False,
    ),
)


async def measure() -> list[Figure]:
    """Each list in the small databases and in the large ones, on a PostgreSQL of its own."""
    measured: dict[str, list[tuple[int, list[float]]]] = {}
    with tempfile.TemporaryDirectory() as directory:
        async with Engines(Path(directory), EnginePorts.random(), given=_GIVEN) as engines:
            server = engines.environment()["HEADRACE_POSTGRES"]
            for size in (SMALL, LARGE):
                async with _served(server, size) as urls:
                    for name, service, path, sees_all in LISTS:
                        taken = await _times(getattr(urls, service) + path, sees_all=sees_all)
                        measured.setdefault(name, []).append((size, taken))
    return [
        of_rounds(f"{name}, {size:,} payloads: p95", taken, "ms", digits=1, bar=BAR if size == LARGE else "")
        for name, sizes in measured.items()
        for size, taken in sizes
    ]


async def _times(url: str, *, sees_all: bool) -> list[float]:
    """The 95th percentile of each round."""
    identity = Identity(type="Associate") if sees_all else Identity(org_id="1", type="User")
    found = []
    async with aiohttp.ClientSession(headers={"x-rh-identity": encode_identity(identity)}) as session:
        for number in range(ROUNDS + 1):
            taken = []
            for _ in range(CALLS if number else CALLS // 4):
                began = time.perf_counter()
                async with session.get(url) as response:
                    body = await response.read()
                taken.append((time.perf_counter() - began) * 1000)
                if response.status != 200:
                    raise RuntimeError(f"{url}: {response.status} {body[:200]!r}")
            if number:
                found.append(statistics.quantiles(taken, n=20)[18])
    return found


@asynccontextmanager
async def _served(server: str, size: int) -> AsyncIterator[Urls]:
    async with AsyncExitStack() as closing:

        async def filled(name: str, migrations: Path, make: Make, count: int) -> Database:
            database = await Database.open(server, f"{name}_{size}", service="bench", create=True)
            closing.push_async_callback(database.close)
            await migrate(database, migrations)
            connection = await asyncpg.connect(server, database=f"{name}_{size}", timeout=10)
            try:
                await make(connection, count)
                await connection.execute("vacuum analyze")
            finally:
                await connection.close()
            return database

        async def listening(application: Any) -> str:
            listener = await Listener.open(application, "127.0.0.1", 0)
            closing.push_async_callback(listener.close)
            return f"http://127.0.0.1:{listener.port}"

        payloads = await filled("tracker", SERVICES / "payload_tracker" / "migrations", _make_payloads, size)
        states, nothing = States(payloads), None
        await states.expect(CONSUMERS)
        track = tracker.Api(TrackerStore(payloads), states, nothing, TrackerSettings())  # type: ignore[arg-type]
        clusters = await filled(
            "aggregator", SERVICES / "results_aggregator" / "migrations", _make_clusters, size // 10
        )
        aggregate = aggregator.Api(clusters, AggregatorSettings(), catalogue=Catalogue.of([SHIPPED_PACK]))
        workloads = await filled("ros", ROS_MIGRATIONS, _make_workloads, size // 10)
        recommend = ros_api.Api(RosStore(workloads, max_streams=4), RosApiSettings())
        yield Urls(
            await listening(track.application()),
            await listening(aggregate.application()),
            await listening(recommend.application()),
        )


async def _make_payloads(connection: asyncpg.Connection, count: int) -> None:
    """One every second; of a hundred one failed, and one waits."""
    for name in ("ingress", "archiver", "koku"):
        await connection.execute("insert into services (name) values ($1)", name)
    for name in ("received", "success", "error"):
        await connection.execute("insert into statuses (name) values ($1)", name)
    await connection.execute(
        """
        insert into payloads (request_id, account, org_id, inventory_id, system_id, account_as_of, inventory_id_as_of,
            system_id_as_of, created_at, size_bytes, upload_service, state, state_since)
        select 'request-' || n, '', (n % $2 + 1)::text, '', '', '-infinity', '-infinity', '-infinity',
            now() - n * interval '1 s', 1000 + n, 'hccm',
            case n % 100 when 20 then 'failed' when 40 then 'waiting' else 'done' end, now() - n * interval '1 s'
        from generate_series(1, $1::int) as n
        """,
        count,
        ORGANISATIONS,
        timeout=600,
    )
    await connection.execute(
        """
        insert into payload_statuses (payload_id, service_id, status_id, status_msg, date, created_at)
        select p.id, s, w + case when p.state = 'failed' and s = 3 and w = 2 then 1 else 0 end,
            'a text of the usual length, such as: sent to validation service',
            p.created_at + s * interval '0.2 s' + w * interval '0.1 s', p.created_at
        from payloads p, generate_series(1, 3) as s, generate_series(1, 2) as w
        """,
        timeout=1200,
    )


async def _make_clusters(connection: asyncpg.Connection, count: int) -> None:
    """Each reported within the last month, with three hits."""
    await connection.execute(
        """
        insert into report (org_id, cluster, report, reported_at, last_checked_at, gathered_at)
        select n % $2 + 1, md5(n::text)::uuid, '{"reports": []}', now() - n * interval '20 s', now(), now()
        from generate_series(1, $1::int) as n
        """,
        count,
        ORGANISATIONS,
        timeout=600,
    )
    await connection.execute(
        """
        insert into rule_hit (cluster_id, org_id, rule_fqdn, error_key, template_data, created_at)
        select r.cluster, r.org_id, 'headrace.rule_pack.rules.' || rule || '.report', upper(rule), '{}', now()
        from report r, unnest(array['nodes_not_ready', 'pods_oom_killed', 'clocks_skewed']) as rule
        """,
        timeout=600,
    )
    await connection.execute(
        "insert into report_info (org_id, cluster_id, version_info) select org_id, cluster, '4.17.2' from report",
        timeout=600,
    )


async def _make_workloads(connection: asyncpg.Connection, count: int) -> None:
    """A hundred in a cluster; of ten one has no recommendation."""
    for statement in (
        "insert into rh_accounts (org_id) select n::text from generate_series(1, $2::int) as n where $1 > 0",
        """
        insert into clusters (tenant_id, source_id, cluster_uuid, cluster_alias, last_reported_at)
        select n % $2::int + 1, n::text, md5(n::text)::uuid::text, 'cluster ' || n, now() - n * interval '1 min'
        from generate_series(1, greatest($1::int / 100, $2)) as n
        """,
        """
        insert into workloads (org_id, cluster_id, experiment_name, namespace, workload_type, workload_name, containers,
            metrics_upload_at)
        select a.org_id, c.id, 'experiment ' || n, 'project-' || n % 50, 'deployment', 'app-' || n, '{main}', now()
        from generate_series(1, $1::int) as n
        join clusters c on c.id = n % greatest($1 / 100, $2) + 1 join rh_accounts a on a.id = c.tenant_id
        """,
        """
        insert into recommendation_sets
            (workload_id, container_name, monitoring_start_time, monitoring_end_time, recommendations)
        select id, 'main', now() - interval '1 day', now(), '{"current": {}, "recommendation_terms": {}}'
        from workloads where id % 10 > 0 and $1::int > 0 and $2::int > 0
        """,
        """
        insert into poll_outcomes
        select id, now(), now(), 'not_enough_data', 'no recommendation: main: not enough data: 15 of 30 minutes', 15, 30
        from workloads where id % 10 = 0 and $1::int > 0 and $2::int > 0
        """,
    ):
        await connection.execute(statement, count, ORGANISATIONS, timeout=600)


if __name__ == "__main__":
    for row in asyncio.run(measure()):
        print(f"{row.name:60} {row.value:>12}  {row.spread:20} {row.bar}")
