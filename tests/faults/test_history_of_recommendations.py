"""Cost archives while every part of the chain is killed: each acknowledged one ends in its rows, once, and advice."""

import asyncio
import uuid
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import timedelta

import aiohttp
import asyncpg
import pytest

from headrace.contracts.message import utc_now
from headrace.laptop.uploads import as_organisation
from headrace.samples import KINDS, SampleOptions
from headrace_services.ros_processor.aggregation import aggregate
from tests.faults.killing import Stack, kill_at_random
from tests.faults.test_history import tracked_statuses
from tests.unit.samples.test_samples import members_of
from tests.waiting import eventually

CHAIN = ("koku", "ros_processor", "kruize", "ros_poller")
CLUSTERS = 12
KILLS = 14
SENDERS = 3
TRIES = 6
ORG_ID = "1"


@dataclass(frozen=True)
class Day:
    """One cluster's usage of one day, and what it should leave behind."""

    cluster_id: str
    number: int
    content: bytes
    # Intervals by experiment object: (namespace, type, name).
    intervals: Counter
    rows: int
    # The last interval's end, by experiment object.
    ends: dict


async def make_day(directory, number, day):
    options = SampleOptions(seed=500 + number, workloads=2)
    options = replace(options, now=options.now + timedelta(days=day))
    path = KINDS["cost"].generate(directory / f"{number}-{day}", options)[0]
    intervals, rows, ends = Counter(), 0, {}
    for name, content in (await members_of(path)).items():
        if not name.startswith("ros-"):
            continue

        async def chunks(content=content):
            yield content

        async with aggregate(chunks(), now=utc_now()) as file:
            async for workload in file.workloads():
                key = (workload.namespace, workload.object_type, workload.object_name)
                intervals[key] = len(workload.records)
                rows += sum(len(record.containers) for record in workload.records)
                ends[key] = workload.records[-1].end
    return Day(options.cluster(), day, path.read_bytes(), intervals, rows, ends)


async def send(session, url, day):
    """One upload, tried again under its id as an operator does; None when given up."""
    request_id = uuid.uuid4().hex
    headers = as_organisation(ORG_ID, day.cluster_id) | {"x-rh-insights-request-id": request_id}
    for _ in range(TRIES):
        form = aiohttp.FormData()
        form.add_field("file", day.content, filename="a.tar.gz", content_type=KINDS["cost"].content_type)
        try:
            async with session.post(f"{url}/api/ingress/v1/upload", data=form, headers=headers) as response:
                if response.status == 202:
                    return request_id
        except (aiohttp.ClientError, TimeoutError):
            pass
        await asyncio.sleep(0.5)  # an operator's own pause, not a wait for a condition
    return None


async def send_all(url, days):
    """Each day of each cluster twice, as daily resends are; the acknowledged (request id, day)."""
    waiting = iter([*days, *days])
    sent = []
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)) as session:

        async def sender():
            sent.extend([(await send(session, url, day), day) for day in waiting])

        await asyncio.gather(*(sender() for _ in range(SENDERS)))
    return sent


async def answers(settings):
    try:
        return await tracked_statuses(settings) is not None
    except (asyncpg.PostgresError, OSError):
        return False


async def stored(settings):
    """What is in the databases, by cluster."""
    server = settings.postgres.rpartition("/")[0]
    ros, kruize = await asyncpg.connect(f"{server}/postgres"), await asyncpg.connect(f"{server}/kruize")
    try:
        names = {
            row["experiment_name"]: row["cluster_uuid"]
            for row in await ros.fetch(
                "SELECT experiment_name, cluster_uuid FROM workloads w JOIN clusters c ON c.id = w.cluster_id"
            )
        }
        metrics = await ros.fetch(
            "SELECT w.experiment_name AS name, count(*) AS rows, count(DISTINCT (interval_start, interval_end)) AS ends"
            " FROM workload_metrics m JOIN workloads w ON w.id = m.workload_id GROUP BY 1"
        )
        results = await kruize.fetch(
            "SELECT experiment_name AS name, count(*) AS ends FROM kruize_results r"
            " JOIN kruize_experiments e ON e.id = r.experiment GROUP BY 1"
        )
        advice = await ros.fetch(
            "SELECT w.experiment_name AS name, monitoring_end_time AS end FROM recommendation_sets r"
            " JOIN workloads w ON w.id = r.workload_id UNION ALL"
            " SELECT w.experiment_name, monitoring_end_time FROM namespace_recommendation_sets r"
            " JOIN workloads w ON w.id = r.workload_id"
        )
    finally:
        await ros.close()
        await kruize.close()
    return names, metrics, results, advice


def check(days, open_clusters, names, metrics, results, advice):
    """What is wrong, a line each."""
    wanted, rows, ends = Counter(), Counter(), {}
    for day in days:
        for key, count in day.intervals.items():
            wanted[(day.cluster_id, *key)] += count
        rows[day.cluster_id] += day.rows
        for key, end in day.ends.items():
            ends[(day.cluster_id, *key)] = max(ends.get((day.cluster_id, *key), end), end)
    keys = {name: _key(name, cluster) for name, cluster in names.items()}
    found = Counter({keys[row["name"]]: row["ends"] for row in results if row["name"] in keys})
    broken = [
        f"{key}: {found[key]} of {count} intervals in Kruize"
        for key, count in wanted.items()
        if found[key] != count
    ]
    kept = Counter()
    for row in metrics:
        kept[names[row["name"]]] += row["rows"]
    broken += [
        f"{cluster}: {kept[cluster]} of {count} metric rows"
        for cluster, count in rows.items()
        if kept[cluster] != count
    ]
    advised = {}
    for row in advice:
        advised.setdefault(keys[row["name"]], set()).add(row["end"])
    broken += [
        f"{key}: advice up to {advised.get(key)}, expected {end}"
        for key, end in ends.items()
        if advised.get(key) != {end}
    ]
    broken += [f"{key} was never sent" for key in found.keys() - wanted.keys() if key[0] not in open_clusters]
    return broken


def _key(name, cluster):
    """A namespace's experiment has one part less."""
    parts = name.split("|")[3:]
    return (cluster, *parts) if len(parts) == 3 else (cluster, parts[1], "namespace", parts[1])


@pytest.mark.full
@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.row(32)
async def test_acknowledged_usage_ends_in_its_rows_and_advice_though_every_part_is_killed(
    tmp_path, record_property
):
    days = [await make_day(tmp_path, number, day) for number in range(CLUSTERS) for day in range(2)]
    names = ("ingress", "payload_tracker", "sources_api", *CHAIN)
    async with AsyncExitStack() as closing:
        stack = Stack(tmp_path, names, KOKU_REGISTER_SOURCES="true")
        await stack.start(closing)
        done = asyncio.Event()
        keepers = [asyncio.create_task(stack.keep(process)) for process in stack.services.values()]
        try:
            async with asyncio.TaskGroup() as killing:
                killing.create_task(kill_at_random(stack, done, list(CHAIN), 1.5))
                killing.create_task(kill_at_random(stack, done, ["postgres", "kafka", "s3"], 4))
                try:
                    sent = await send_all(stack.url, days)
                    request_ids = {request_id for request_id, _ in sent if request_id}
                    # Uploads are quick; what comes after them is what is to be killed.
                    await eventually(lambda: sum(stack.kills.values()) >= KILLS, within_seconds=90)
                finally:
                    done.set()

            # The last kill may have been of PostgreSQL.
            await eventually(lambda: answers(stack.settings), within_seconds=30)

            async def all_ended():
                statuses = await tracked_statuses(stack.settings)
                return all(("ros-processor", "success") in statuses[request_id] for request_id in request_ids)

            await eventually(all_ended, within_seconds=150, every_seconds=0.5, describe="every id ended")
            acknowledged = {(day.cluster_id, day.number): day for request_id, day in sent if request_id}
            # Whether a day that was never acknowledged is there is open.
            open_clusters = {
                day.cluster_id for day in days if (day.cluster_id, day.number) not in acknowledged
            }
            closed = [day for day in acknowledged.values() if day.cluster_id not in open_clusters]

            async def nothing_wrong():
                assert check(closed, open_clusters, *await stored(stack.settings)) == []
                return True

            await eventually(nothing_wrong, within_seconds=60, every_seconds=1)
        finally:
            for keeper in keepers:
                keeper.cancel()
        record_property(
            "figures",
            f"kills: {dict(stack.kills)}\narchives sent: {len(sent)}, acknowledged: {len(request_ids)}, "
            f"intervals: {sum(sum(day.intervals.values()) for day in closed)}, promises broken: 0",
        )
        assert len(closed) >= CLUSTERS
