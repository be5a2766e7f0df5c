"""Every service under load while an engine is away, hangs, throttles, or comes and goes: nothing accepted is lost."""

import asyncio
import os
import random
import signal
import time
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import aiohttp
import psutil
import pytest
import pytest_asyncio

from headrace.local.ports import EnginePorts
from headrace_services.registry import BY_NAME
from tests.faults.recording import FULL
from tests.faults.sending import payloads, sending
from tests.faults.whole import Whole
from tests.kafka_proxy import (
    COMMIT,
    COORDINATOR,
    FETCH,
    HEARTBEAT,
    LOADING,
    NOT_AVAILABLE,
    NOT_COORDINATOR,
    NOT_LEADER,
    PRODUCE,
    KafkaProxy,
)
from tests.processes import ServiceProcess
from tests.waiting import eventually

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.xdist_group("outages"),
    pytest.mark.slow,
    pytest.mark.timeout(900),
]

SENDERS = 3
# In a short run the machine is other tests' as well.
PAUSE_SECONDS = 0.2 if FULL else 1.0
# How long a busy machine may take for what a quiet one does at once.
PATIENCE_SECONDS = 60.0


@dataclass
class Flow:
    whole: Whole
    proxy: Any
    prepared: list


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def flow(tmp_path_factory):
    directory = tmp_path_factory.mktemp("outages")
    async with AsyncExitStack() as closing:
        whole = Whole(directory)
        proxy = await closing.enter_async_context(KafkaProxy.open(f"127.0.0.1:{whole.ports.kafka}"))
        whole.environment |= {"HEADRACE_KAFKA": proxy.address}
        await whole.start(closing)
        await closing.enter_async_context(whole.kept())
        yield Flow(whole, proxy, await payloads(directory, 2))


@asynccontextmanager
async def under_load(flow, row, **terms):
    """Senders go on beside the fault; afterwards all that was accepted has ended, once and whole."""
    whole = flow.whole
    terms = {"senders": SENDERS, "pause_seconds": PAUSE_SECONDS} | terms
    async with sending(whole.url, flow.prepared, **terms) as load:
        await eventually(lambda: load.acknowledged, within_seconds=PATIENCE_SECONDS)
        yield load
        before = len(load.acknowledged)
        await eventually(
            lambda: len(load.acknowledged) > before + SENDERS,
            within_seconds=PATIENCE_SECONDS,
            describe="uploads are accepted again",
        )
    settled = await whole.all_ended(load, within_seconds=240)
    verdict = await whole.verdict(load, among_others=True)
    row.record(
        sent=len(load.sent),
        accepted=len(load.acknowledged),
        sends_repeated=verdict.counts["sends repeated"],
        duplicate_messages=verdict.counts["synced messages repeated"],
        last_ended_after_load_seconds=settled,
        lost=0,
    )
    assert verdict.broken == []


def status_of(whole, engine):
    return next(each for each in whole.engines.describe() if each.name == engine)


async def ready_again(whole, engine, pid):
    """Wait until a killed engine has another process and is ready."""

    def back():
        status = status_of(whole, engine)
        return status.state == "ready" and status.pid not in {None, pid}

    await eventually(back, within_seconds=PATIENCE_SECONDS, describe=f"{engine} is back")


def family(pid):
    """A process and all below it."""
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]


@asynccontextmanager
async def stopped(whole, engine):
    """SIGSTOP for every process of the engine; whoever finds it dead may restart it meanwhile."""
    processes = family(status_of(whole, engine).pid)
    for process in processes:
        process.suspend()
    try:
        yield
    finally:
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.resume()


@pytest.mark.row(1)
async def test_an_ingress_that_is_killed_loses_nothing_it_accepted(flow, row):
    whole, draw = flow.whole, random.Random(1)
    moments = sorted(draw.sample(range(row["uploads"]), row["kills"]))
    in_store = set(await uploaded(whole))
    async with under_load(flow, row, tries=1000, pause_seconds=0.0) as load:
        for moment in moments:
            await eventually(lambda moment=moment: len(load.sent) >= moment, within_seconds=PATIENCE_SECONDS)
            await whole.kill("ingress")
        await eventually(lambda: len(load.sent) >= row["uploads"], within_seconds=PATIENCE_SECONDS)
    known = {upload.request_id for upload, _ in load.acknowledged}
    orphans = {key for key in set(await uploaded(whole)) - in_store if key.partition("~")[0] not in known}
    row.record(kills=len(moments), orphaned_objects=len(orphans))
    assert len(load.acknowledged) == len(load.sent)
    assert len(orphans) <= SENDERS * len(moments)


async def uploaded(whole):
    from headrace.objects.endpoint import S3Endpoint
    from headrace.objects.store import ObjectStore

    store = await ObjectStore.open(S3Endpoint.of(whole.settings))
    try:
        return [item.key async for item in store.list("insights-upload-perma")]
    finally:
        await store.close()


@pytest.mark.full
@pytest.mark.row(2)
async def test_uploads_are_refused_while_the_broker_is_down_and_accepted_when_it_is_back(flow, row):
    whole = flow.whole
    broker = whole.engines._parts["kafka"]
    async with under_load(flow, row) as load:
        await broker.stop()
        down = time.monotonic()
        refused = len(load.answers)
        await eventually(
            lambda: time.monotonic() - down > row["outage_seconds"] and len(load.answers) > refused + SENDERS,
            within_seconds=row["outage_seconds"] + PATIENCE_SECONDS,
        )
        returning = time.monotonic()
        await broker.start()
        up = time.monotonic()
        await eventually(lambda: any(each.status == 202 and each.at > up for each in load.answers))
    during = [each for each in load.answers if each.at - each.seconds > down and each.at < returning]
    accepted = min(each.at for each in load.answers if each.status == 202 and each.at > returning)
    row.record(
        outage_seconds=returning - down,
        refused=len(during),
        slowest_refusal_seconds=max(each.seconds for each in during),
        accepted_after_return_seconds=max(0.0, accepted - up),
    )
    assert {(each.status, each.retry_after) for each in during} == {(503, "5")}
    assert max(each.seconds for each in during) < (10 if row.full else 20)
    assert accepted - up <= row["recovery_seconds"]


@pytest.mark.row(24)
async def test_postgresql_that_is_killed_over_and_over_costs_nothing_but_time(flow, row):
    whole, recoveries = flow.whole, []
    url = (
        f"http://127.0.0.1:{whole.environment_of('payload_tracker', 'PAYLOAD_TRACKER_PORT')}/api/v1/payloads"
    )
    async with under_load(flow, row), aiohttp.ClientSession() as session:
        began = time.monotonic()
        while time.monotonic() - began < row["seconds"]:
            pid = status_of(whole, "postgres").pid
            os.kill(pid, signal.SIGKILL)
            killed = time.monotonic()
            await ready_again(whole, "postgres", pid)
            await eventually(lambda: answers_200(session, url), within_seconds=PATIENCE_SECONDS)
            recoveries.append(time.monotonic() - killed)
            await asyncio.sleep(max(0.0, row["every_seconds"] - recoveries[-1]))  # the rhythm of the fault
    row.record(kills=len(recoveries), slowest_recovery_seconds=max(recoveries))
    assert max(recoveries) <= (10 if row.full else PATIENCE_SECONDS)


async def answers_200(session, url):
    identity = {"x-rh-identity": READER}
    with suppress(aiohttp.ClientError, TimeoutError):
        async with session.get(
            url, params={"page_size": 1}, headers=identity, timeout=aiohttp.ClientTimeout(total=10)
        ) as response:
            return response.status == 200
    return False


def _reader():
    from headrace.laptop.uploads import as_organisation

    return as_organisation("1", "11111111-2222-3333-4444-555555555555")["x-rh-identity"]


READER = _reader()


@pytest.mark.row(24)
async def test_a_postgresql_that_terminates_refuses_writes_and_holds_locks_is_waited_for(flow, row):
    whole = flow.whole
    async with under_load(flow, row) as load:
        for _ in range(3):
            await whole.execute(
                "postgres",
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where pid <> pg_backend_pid() and application_name like 'headrace-%'",
            )
            before = len(load.sent)
            await eventually(lambda before=before: len(load.sent) > before, within_seconds=PATIENCE_SECONDS)
        await whole.execute("postgres", "alter system set default_transaction_read_only = on")
        await whole.execute("postgres", "select pg_reload_conf()")
        await asyncio.sleep(row["held_seconds"])  # the length of the fault
        await writable(whole)
        await locked(whole, row["held_seconds"])
    dead = [record for name in ("archiver", "payload_tracker") for record in await dead_letters(whole, name)]
    row.record(dead_letters=len(dead))
    assert dead == []


async def writable(whole):
    import asyncpg

    connection = await asyncpg.connect(
        whole.settings.postgres, server_settings={"default_transaction_read_only": "off"}
    )
    try:
        await connection.execute("alter system reset default_transaction_read_only")
        await connection.execute("select pg_reload_conf()")
    finally:
        await connection.close()


async def locked(whole, seconds):
    """Every table that a consumer writes to, in its database, for so long."""
    import asyncpg

    server = whole.settings.postgres.rpartition("/")[0]
    tables = {
        "payload_tracker": "payloads",
        "archiver": "archives",
        "aggregator": "report",
        "postgres": "workloads",
    }
    async with AsyncExitStack() as held:
        for database, table in tables.items():
            connection = await asyncpg.connect(f"{server}/{database}")
            held.push_async_callback(connection.close)
            await held.enter_async_context(connection.transaction())
            await connection.execute(f"lock table {table} in access exclusive mode")
        await asyncio.sleep(seconds)  # the length of the fault


async def dead_letters(whole, name):
    from tests.integration.bus.flow import Flow as BusFlow

    reading = BusFlow(whole.settings, None, None, "", "")
    return [
        record
        for consumption in whole.consumptions(name)
        for record in await reading.records(consumption.topic.dead_letters)
    ]


@pytest.mark.row(25)
async def test_an_exhausted_pool_is_503_in_time_and_no_message_fails(flow, row):
    whole = flow.whole
    url = (
        f"http://127.0.0.1:{whole.environment_of('payload_tracker', 'PAYLOAD_TRACKER_PORT')}/api/v1/payloads"
    )

    async def ask(session):
        began = time.monotonic()
        async with session.get(url, headers={"x-rh-identity": READER}) as response:
            return response.status, time.monotonic() - began

    async with under_load(flow, row), aiohttp.ClientSession() as session:
        holding = asyncio.create_task(locked(whole, 12))
        await eventually(lambda: payloads_locked(whole), within_seconds=PATIENCE_SECONDS)
        answers = await asyncio.gather(*(ask(session) for _ in range(40)))
        await holding
    dead = await dead_letters(whole, "payload_tracker")
    row.record(
        asked=40, answered_503=sum(s == 503 for s, _ in answers), slowest_seconds=max(t for _, t in answers)
    )
    assert {status for status, _ in answers} == {503}
    assert max(seconds for _, seconds in answers) < 15 + (0 if row.full else PATIENCE_SECONDS)
    assert dead == []


async def payloads_locked(whole):
    return await whole.execute(
        "payload_tracker",
        "select 1 from pg_locks l join pg_class c on c.oid = l.relation"
        " where c.relname = 'payloads' and l.mode = 'AccessExclusiveLock' and l.granted",
    )


@pytest.mark.row(21)
async def test_a_broker_that_moves_throttles_and_is_far_away_loses_nothing(flow, row):
    proxy = flow.proxy
    proxy.injected.clear()
    async with under_load(flow, row) as load:
        for api, codes in {
            PRODUCE: [NOT_LEADER],
            FETCH: [NOT_LEADER],
            COORDINATOR: [NOT_AVAILABLE, LOADING],
            HEARTBEAT: [NOT_COORDINATOR, NOT_AVAILABLE],
            COMMIT: [LOADING, NOT_AVAILABLE, NOT_COORDINATOR],
        }.items():
            proxy.errors[api].extend(codes * row["answers"])
        # Coordinators are looked for again because heartbeats and commits said so.
        await eventually(
            lambda: not any(proxy.errors[api] for api in (PRODUCE, FETCH, HEARTBEAT, COMMIT)),
            within_seconds=30 * row["answers"] + PATIENCE_SECONDS,
            describe="every error was given",
        )
        proxy.throttle_ms = 500
        proxy.up.latency_seconds = proxy.down.latency_seconds = 0.1
        before = len(load.acknowledged)
        await eventually(
            lambda: len(load.acknowledged) > before + 2 * SENDERS, within_seconds=PATIENCE_SECONDS
        )
        proxy.throttle_ms, proxy.up.latency_seconds, proxy.down.latency_seconds = 0, 0.0, 0.0
        proxy.up.hang = proxy.down.hang = True
        await asyncio.sleep(2 * 10 if row.full else 11)  # sessions last ten seconds
        proxy.up.hang = proxy.down.hang = False
        proxy.cut()
    row.record(errors={f"{api}/{code}": count for (api, code), count in sorted(proxy.injected.items())})


@pytest.mark.row(21)
@pytest.mark.parametrize("engine", ["kafka", "s3", "postgres"])
async def test_an_engine_that_is_stopped_for_a_while_is_waited_for(flow, row, engine):
    whole = flow.whole
    async with under_load(flow, row, tries=20) as load:
        async with stopped(whole, engine):
            await asyncio.sleep(row["stopped_seconds"])  # the length of the fault
        began = time.monotonic()
        before = len(load.acknowledged)
        await eventually(lambda: len(load.acknowledged) > before, within_seconds=PATIENCE_SECONDS)
        recovered = time.monotonic() - began
    row.record(engine=engine, accepted_again_seconds=recovered)


@pytest.mark.row(17)
async def test_consumers_that_come_and_go_lose_nothing_and_repeat_little(flow, row):
    whole = flow.whole
    names = ("archiver", "payload_tracker", "results_aggregator")
    joins = 0
    async with under_load(flow, row) as load:
        began = time.monotonic()
        while time.monotonic() - began < row["seconds"]:
            visitor = replica(whole, names, joins)
            await visitor.start(ready_within_seconds=120)
            joins += 1
            await asyncio.sleep(row["every_seconds"])  # the rhythm of the fault
            assert await visitor.stop(within_seconds=60) == 0
            await asyncio.sleep(row["every_seconds"])  # the rhythm of the fault
    began = time.monotonic()
    await whole.drained(names)
    verdict = await whole.verdict(load)
    repeated = verdict.counts["synced messages repeated"]
    row.record(joins_and_leaves=2 * joins, repeated=repeated, lag_drained_seconds=time.monotonic() - began)
    # Each rebalance may repeat what one consumer has in flight.
    assert repeated <= 2 * joins * 16


def replica(whole, names, number):
    ports = {
        BY_NAME[name].port_variable: EnginePorts.random().kafka
        for name in names
        if BY_NAME[name].port_variable
    }
    own = {variable: str(port) for variable, port in ports.items()}
    return ServiceProcess(
        names,
        whole.services[names[0]].environment | own,
        EnginePorts.random().kafka,
        whole.directory / f"visitor-{number}.log",
    )


@pytest.mark.row(31)
async def test_a_kruize_that_is_away_is_asked_less_and_less_and_nothing_is_doubled(flow, row):
    whole = flow.whole
    kruize = whole.services["kruize"]
    async with under_load(flow, row):
        process = psutil.Process(kruize.process.pid)
        process.suspend()
        try:
            await asyncio.sleep(row["outage_seconds"])  # the length of the fault
            failures = await failed_attempts(whole)
        finally:
            # Its keeper brings another.
            process.kill()
    doubled = await whole.execute(
        "postgres",
        "select workload_id, container_name, monitoring_end_time from historical_recommendation_sets"
        " group by 1, 2, 3 having count(*) > 1",
    )
    row.record(outage_seconds=row["outage_seconds"], failed_attempts=failures, doubled=len(doubled))
    assert doubled == []


async def failed_attempts(whole):
    total = 0.0
    for name in ("ros_processor", "ros_poller"):
        for line in (await whole.metrics(name)).splitlines():
            if line.startswith("headrace_attempt_failures_total{"):
                total += float(line.rpartition(" ")[2])
    return int(total)


@pytest.mark.row(27)
async def test_every_service_told_to_end_under_load_ends_in_time_and_told_twice_at_once(flow, row):
    whole = flow.whole
    ends, twice = {}, {}
    async with under_load(flow, row, tries=20):
        for number, (name, service) in enumerate(whole.services.items()):
            both = ((1, ends), (2, twice))
            for times, found in both if row.full else both[number % 2 :][:1]:
                await eventually(service.is_ready, within_seconds=PATIENCE_SECONDS, describe=f"{name} ready")
                process, began = service.process, time.monotonic()
                for _ in range(times):
                    process.terminate()
                    # The handler of the first has run once the listeners say so.
                    await eventually(
                        lambda service=service, process=process: stopping(service, process), within_seconds=25
                    )
                found[name] = (await asyncio.wait_for(process.wait(), 60), time.monotonic() - began)
    row.record(
        slowest_stop_seconds=max(seconds for _, seconds in ends.values()),
        slowest_second_signal_seconds=max(seconds for _, seconds in twice.values()),
    )
    assert {code for code, _ in ends.values()} == {0}
    assert {code for code, _ in twice.values()} <= {0, -signal.SIGTERM}
    assert max(seconds for _, seconds in ends.values()) < (25 if row.full else 25 + PATIENCE_SECONDS)


async def stopping(service, process):
    return process.returncode is not None or '"stopping"' in service.log.read_text(errors="replace")[-4000:]
