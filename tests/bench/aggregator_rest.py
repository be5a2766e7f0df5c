"""The aggregator's REST: how long a client waits for many reports at once."""

import asyncio
import json
import statistics
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import asyncpg

from headrace.contracts.identity import Identity, encode_identity
from tests.bench.report import Figure, of_rounds

TITLE = "Results aggregator, REST"
TEXT = (
    "100 clusters of an organisation that has 200, among 2000 of others; a report has 12 hits and 20 kB. "
    "One client asks again and again on one connection; times are from its call to the last byte, JSON not decoded."
)
ORG_ID = 910_001
ASKED = 100
OWN, OTHERS = 200, 2000
HITS = 12
REPORT_BYTES = 20_000
ROUNDS, CALLS = 5, 200

Call = Callable[[], Awaitable[int]]


async def measure(url: str, database_url: str) -> list[Figure]:
    """Ask the service at `url` (no path), whose database is given; its rows are made and left there."""
    clusters = await _seed(database_url)
    asked = clusters[:ASKED]
    headers = {"x-rh-identity": encode_identity(Identity(org_id=str(ORG_ID), type="User"))}
    async with aiohttp.ClientSession(f"{url}/api/v1/", headers=headers) as session:

        def calling(method: str, path: str, body: Any = None) -> Call:
            data = None if body is None else json.dumps(body).encode()

            async def call() -> int:
                async with session.request(method, path, data=data) as response:
                    size = len(await response.read())
                    if response.status != 200:
                        raise RuntimeError(f"{path}: {response.status}")
                    return size

            return call

        reports = calling("POST", f"organizations/{ORG_ID}/clusters/reports", {"clusters": asked})
        lists = calling("POST", f"recommendations/organizations/{ORG_ID}/users/0/list", asked)
        detail = calling("GET", f"rules/pack.rules.r0%7CKEY/organizations/{ORG_ID}/users/0/clusters_detail")
        one = calling("GET", f"organizations/{ORG_ID}/clusters/{asked[0]}/users/0/report")
        size_bytes = await reports()
        return [
            *await _times(
                f"reports of {ASKED} clusters ({size_bytes / 1e6:.1f} MB)", reports, bar="p99 < 50 ms"
            ),
            *await _times(f"recommendations of {ASKED} clusters", lists),
            *await _times(f"the {OWN} clusters that a rule hits", detail),
            *await _times("report of one cluster", one),
        ]


async def _times(name: str, call: Call, *, bar: str = "") -> list[Figure]:
    medians, tails = [], []
    for _ in range(CALLS // 10):
        await call()
    for _ in range(ROUNDS):
        taken = []
        for _ in range(CALLS):
            began = time.perf_counter()
            await call()
            taken.append((time.perf_counter() - began) * 1000)
        medians.append(statistics.median(taken))
        tails.append(statistics.quantiles(taken, n=100)[98])
    return [
        of_rounds(f"{name}: median", medians, "ms", digits=1),
        of_rounds(f"{name}: p99", tails, "ms", digits=1, bar=bar),
    ]


async def _seed(database_url: str) -> list[str]:
    connection = await asyncpg.connect(database_url, timeout=10)
    try:
        await connection.execute("delete from report where org_id >= $1", ORG_ID)
        own = await _clusters(connection, ORG_ID, OWN)
        for number in range(OTHERS // 100):
            await _clusters(connection, ORG_ID + 1 + number, 100)
        await connection.execute("analyze")
    finally:
        await connection.close()
    return own


async def _clusters(connection: asyncpg.Connection, org_id: int, count: int) -> list[str]:
    """Such as the consuming side writes them."""
    clusters = [str(uuid.uuid4()) for _ in range(count)]
    now = datetime.now(UTC)
    details = json.dumps({"nodes": ["worker-0", "worker-1"], "text": "x" * (REPORT_BYTES // HITS - 150)})
    rules = [f"pack.rules.r{number}" for number in range(HITS)]
    entries = [
        {"component": f"{rule}.report", "key": "KEY", "details": json.loads(details)} for rule in rules
    ]
    report = json.dumps({"fingerprints": [], "info": [], "reports": entries, "skips": [], "system": {}})
    await _copy(connection, "report", [(org_id, cluster, report, now, now, now, 0) for cluster in clusters])
    pairs = [(cluster, rule) for cluster in clusters for rule in rules]
    await _copy(
        connection,
        "rule_hit",
        [(cluster, org_id, f"{rule}.report", "KEY", details, now) for cluster, rule in pairs],
    )
    since = now - timedelta(days=3)
    await _copy(
        connection,
        "recommendation",
        [(org_id, cluster, rule, "KEY", f"{rule}|KEY", now, since) for cluster, rule in pairs],
    )
    await _copy(connection, "report_info", [(org_id, cluster, "4.17.2") for cluster in clusters])
    return clusters


async def _copy(connection: asyncpg.Connection, table: str, rows: Sequence[tuple[Any, ...]]) -> None:
    await connection.copy_records_to_table(table, records=rows)


if __name__ == "__main__":
    import sys

    for row in asyncio.run(measure(*sys.argv[1:3])):
        print(f"{row.name:60} {row.value:>12}  {row.spread:20} {row.bar}")
