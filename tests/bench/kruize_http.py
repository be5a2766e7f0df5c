"""Kruize over HTTP beside a plain way: a row of JSON for each record, and the rules in plain loops."""

import json
import time
import uuid
from datetime import timedelta
from typing import Any

import aiohttp
import asyncpg
import psutil

from tests.bench.load import Load, closed_loop
from tests.bench.report import Figure, of_rounds
from tests.integration.kruize import harness
from tests.unit.kruize import plain

TITLE = "Kruize"
TEXT = (
    "Records of one container with its eight metrics, a hundred in a call (136 KB); recommendations from 15 days of "
    "them. The service is a process of its own, the client another, PostgreSQL on the same machine; 8 calls in flight. "
    "Plain: the same JSON, one row a record in PostgreSQL, in plain loops over Python objects without HTTP, one at a "
    "time. CPU is the service's own."
)
EXPERIMENTS = 60
INTERVALS = 1440
RECORDS = 100
IN_FLIGHT = 8
ROUNDS = 3
PLAIN_CALLS = 3
_NAME = "name-of-the-experiment"
_PLAIN_TABLE = """
create table plain_results (
    experiment_name text, interval_end_time timestamptz, interval_start_time timestamptz, extended_data jsonb,
    primary key (experiment_name, interval_end_time, interval_start_time)
)
"""
_PLAIN_INSERT = "insert into plain_results values ($1, $2, $3, $4) on conflict do nothing"
_SIZE = """
select coalesce(sum(pg_total_relation_size(inhrelid)), 0)::bigint from pg_inherits
where inhparent = 'kruize_results'::regclass
"""


async def measure(kruize_url: str, process: psutil.Process, postgres: str) -> list[Figure]:
    """Rates, CPU and storage; ``postgres`` is the URL of the service's database."""
    records = [harness.record(_NAME, number) for number in range(INTERVALS)]
    bodies = [json.dumps(records[at : at + RECORDS]).encode() for at in range(0, INTERVALS, RECORDS)]
    connection = await asyncpg.connect(postgres)
    try:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
            kruize = harness.Kruize(kruize_url, session, postgres)
            await kruize.create()
            return [
                *await _loading(kruize, process, connection, bodies),
                *await _recommending(kruize, process),
                *await _plainly(connection, records),
            ]
    finally:
        await connection.execute("drop table if exists plain_results")
        await connection.close()


async def _loading(
    kruize: harness.Kruize, process: psutil.Process, connection: Any, bodies: list[bytes]
) -> list[Figure]:
    loads, cpu = [], []
    size = await connection.fetchval(_SIZE)
    for _ in range(ROUNDS):
        names = [harness.new_name() for _ in range(EXPERIMENTS // ROUNDS)]
        await kruize.create(*map(harness.experiment, names))
        calls = [(name, body) for body in bodies for name in names]

        async def call(number: int, calls: list[tuple[str, bytes]] = calls) -> None:
            name, body = calls[number]
            await _expect(kruize, "/updateResults", body.replace(_NAME.encode(), name.encode()))

        before = _cpu_seconds(process)
        loads.append(await closed_loop(call, len(calls), IN_FLIGHT))
        cpu.append((_cpu_seconds(process) - before) / len(calls) * 1000)
    per_day = (await connection.fetchval(_SIZE) - size) / (EXPERIMENTS * INTERVALS / 96) / 1000
    return [
        of_rounds("updateResults", [load.per_second for load in loads], "/s", bar="≥ 100"),
        of_rounds("updateResults, records", [load.per_second * RECORDS for load in loads], "/s"),
        of_rounds("updateResults, p99", [load.percentile(0.99) * 1000 for load in loads], "ms", digits=1),
        of_rounds("updateResults, CPU a call", cpu, "ms", digits=2),
        Figure("storage of an experiment's day, indexes included", f"{per_day:.0f} KB", bar="< 290 KB"),
    ]


async def _recommending(kruize: harness.Kruize, process: psutil.Process) -> list[Figure]:
    rows = await kruize.fetch("select experiment_name as name from kruize_experiments order by id")
    names = [row["name"] for row in rows]
    params = {"interval_end_time": harness.end_of(INTERVALS - 1)}

    async def call(number: int) -> None:
        await _expect(
            kruize, "/updateRecommendations", None, experiment_name=names[number % len(names)], **params
        )

    await closed_loop(call, len(names), IN_FLIGHT)
    loads: list[Load] = []
    cpu = []
    for _ in range(ROUNDS):
        before = _cpu_seconds(process)
        loads.append(await closed_loop(call, 5 * len(names), IN_FLIGHT))
        cpu.append((_cpu_seconds(process) - before) / (5 * len(names)) * 1000)
    p99 = [load.percentile(0.99) * 1000 for load in loads]
    return [
        of_rounds("updateRecommendations", [load.per_second for load in loads], "/s", bar="≥ 100"),
        of_rounds("updateRecommendations, p99", p99, "ms", digits=1),
        of_rounds("updateRecommendations, CPU a call", cpu, "ms", digits=2, bar="< 5"),
    ]


async def _plainly(connection: Any, records: list[dict[str, Any]]) -> list[Figure]:
    await connection.execute(_PLAIN_TABLE)
    seconds = []
    for _ in range(PLAIN_CALLS):
        name = uuid.uuid4().hex
        for at in range(0, INTERVALS, RECORDS):
            body = json.dumps(records[at : at + RECORDS])
            before = time.perf_counter()
            rows = [
                (
                    name,
                    harness.FIRST_END + timedelta(minutes=15 * (at + number)),
                    harness.FIRST_END + timedelta(minutes=15 * (at + number), seconds=-899),
                    json.dumps(record["kubernetes_objects"]),
                )
                for number, record in enumerate(json.loads(body))
            ]
            for row in rows:
                await connection.execute(_PLAIN_INSERT, *row)
            seconds.append(time.perf_counter() - before)
    size = await connection.fetchval("select pg_total_relation_size('plain_results')")
    recommending = []
    for _ in range(PLAIN_CALLS):
        before = time.perf_counter()
        found = await connection.fetch("select * from plain_results where experiment_name = $1", name)
        plain.recommend("container", [_interval(row) for row in found])
        recommending.append(time.perf_counter() - before)
    per_day = size / (PLAIN_CALLS * INTERVALS / 96) / 1000
    return [
        of_rounds("plain: 100 records", [1 / each for each in seconds], "/s"),
        of_rounds("plain: recommendations", [1 / each for each in recommending], "/s", digits=2),
        Figure("plain: storage of an experiment's day", f"{per_day:.0f} KB"),
    ]


def _interval(row: Any) -> dict[str, Any]:
    (kubernetes_object,) = json.loads(row["extended_data"])
    (container,) = kubernetes_object["containers"]
    return {
        "start": round(row["interval_start_time"].timestamp() * 1000),
        "end": round(row["interval_end_time"].timestamp() * 1000),
        "metrics": {
            metric["name"]: {
                key: text if key == "format" else float(text)
                for key, text in metric["results"]["aggregation_info"].items()
            }
            for metric in container["metrics"]
        },
    }


async def _expect(kruize: harness.Kruize, path: str, body: bytes | None, **params: str) -> None:
    answer = await kruize.post(path, body, **params)
    if answer.status != 201:
        raise RuntimeError(f"{path}: {answer.status}: {answer.body[:300]!r}")


def _cpu_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)
