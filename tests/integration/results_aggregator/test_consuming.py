import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Any
from uuid import UUID

import pytest

from headrace.bus.admin import ensure_topics
from headrace.bus.consumer import Consumer
from headrace.bus.consumption import Consumption
from headrace.bus.dead_letters import DeadLetter, list_dead_letters
from headrace.bus.producer import Producer
from headrace.contracts.rules import UnjudgedResult
from headrace.contracts.topics import Topic
from headrace.database.pool import Database
from headrace.runtime.metrics import REGISTRY
from headrace.runtime.retries import RetryPolicy
from headrace.runtime.settings import EngineSettings
from headrace_services.results_aggregator.handlers import Aggregator
from headrace_services.results_aggregator.store import AggregatorStore
from tests.engines import SessionEngines
from tests.integration.results_aggregator.reporting import CLUSTER, REPORT_TABLES, TABLES, dump, hit, reported
from tests.waiting import eventually

QUICK = RetryPolicy(attempts=3, budget_seconds=1.0, base_seconds=0.01, cap_seconds=0.05)
CLUSTERS = [str(UUID(int=number)) for number in range(1, 13)]


@dataclass
class Line:
    """A topic of its own and consumers of it."""

    settings: EngineSettings
    producer: Producer
    topic: Topic[UnjudgedResult]
    handled: Counter[str] = field(default_factory=Counter)

    async def send(self, messages: Iterable[Any]) -> None:
        bodies = [item if isinstance(item, bytes) else json.dumps(item).encode() for item in messages]
        await asyncio.gather(*(self.producer.send_raw(self.topic.name, body, key=None) for body in bodies))

    @asynccontextmanager
    async def consumed(
        self, group: str, *databases: Database, allowlist: frozenset[int] | None = None
    ) -> AsyncIterator[list[Consumer[UnjudgedResult]]]:
        """By one replica for each database handle; counts how messages end, by the first word."""
        consumers = []
        for database in databases:
            aggregator = Aggregator(AggregatorStore(database), allowlist)

            async def handle(message: Any, delivery: Any, aggregator: Aggregator = aggregator) -> str:
                text = await aggregator.handle_report(message, delivery)
                self.handled[text.split(":")[0]] += 1
                return text

            consumption = Consumption(self.topic, group=group, retry=QUICK)
            consumers.append(
                Consumer(
                    consumption,
                    handle,
                    service="results_aggregator",
                    settings=self.settings,
                    producer=self.producer,
                )
            )
        tasks = [asyncio.create_task(consumer.run()) for consumer in consumers]
        try:
            yield consumers
        finally:
            await asyncio.gather(*(consumer.stop(10) for consumer in consumers))
            await asyncio.gather(*tasks)

    async def until_handled(self, count: int) -> None:
        await eventually(
            lambda: self.handled.total() >= count, within_seconds=40, describe=f"{count} handled"
        )


@pytest.fixture
async def line(engines: SessionEngines, fresh: Callable[[str], str]) -> AsyncIterator[Line]:
    settings = EngineSettings(kafka=engines.kafka)
    topic = Topic(fresh("results"), UnjudgedResult)
    await ensure_topics(settings, [topic])
    producer = await Producer.open(settings, service="results_aggregator")
    yield Line(settings, producer, topic)
    await producer.close()


def history() -> list[dict[str, Any]]:
    """Of each cluster ten reports."""
    return [
        reported(
            minute,
            *(hit(f"rule{n}", "KEY", at=minute) for n in range(minute % 4)),
            ClusterName=cluster,
            OrgID=2,
            cluster_version=f"4.{minute}",
        )
        for cluster in CLUSTERS
        for minute in range(10)
    ]


async def test_replaying_the_topic_leaves_equal_tables(
    line: Line, tables: Database, fresh: Callable[[str], str]
) -> None:
    messages = history()
    Random(7).shuffle(messages)
    await line.send(messages)
    async with line.consumed(fresh("group"), tables):
        await line.until_handled(120)
    before = await dump(tables)
    assert [len(before[table]) for table in REPORT_TABLES] == [12, 12, 12, 12]
    async with line.consumed(fresh("group"), tables):
        await line.until_handled(240)
    assert await dump(tables) == before
    assert line.handled["stored"] + line.handled["skipped"] == 240


async def test_two_replicas_whose_backends_are_killed_store_every_duplicated_report_once(
    line: Line, tables: Database, database: str, fresh: Callable[[str], str]
) -> None:
    messages = history() * 3
    Random(11).shuffle(messages)
    name = database.rpartition("/")[2]
    other = await Database.open(database, name, service="results_aggregator")
    watcher = await Database.open(database, name, service="watcher", max_size=1)
    written = REGISTRY.get_sample_value("written_reports") or 0
    killed = 0
    try:
        async with line.consumed(fresh("group"), tables, other) as replicas:
            await eventually(lambda: all(replica.problem is None for replica in replicas), within_seconds=60)
            sending = asyncio.create_task(line.send(messages))
            for done in range(20, 340, 20):
                await line.until_handled(done)
                killed += await watcher.fetch_value(
                    "select count(pg_terminate_backend(pid)) from pg_stat_activity where datname = $1"
                    " and application_name = 'headrace-results_aggregator'",
                    name,
                )
            await sending
            await line.until_handled(360)
    finally:
        await other.close()
        await watcher.close()
    assert killed >= 16
    failed = {"service": "results_aggregator", "topic": line.topic.name, "error": "Retryable"}
    assert (REGISTRY.get_sample_value("headrace_attempt_failures_total", failed) or 0) > 0
    rows = await tables.fetch(
        "select org_id, extract(minute from last_checked_at)::int as minute, count(*) from report group by 1, 2"
    )
    assert [tuple(row) for row in rows] == [(2, 9, 12)]
    hits = await tables.fetch("select org_id, rule_fqdn, count(*) from rule_hit group by 1, 2")
    assert [tuple(row) for row in hits] == [(2, "pack.rules.rule0.report", 12)]
    assert await tables.fetch_value("select count(*) from recommendation where org_id = 2") == 12
    assert await tables.fetch_value("select count(*) from consumer_error") == 0
    assert (REGISTRY.get_sample_value("written_reports") or 0) - written >= 12


FAULTS: list[tuple[Any, str]] = [
    (b"{", "the message is not JSON"),
    (b'"text"', "the message is not an object"),
    ({"ClusterName": CLUSTER, "Report": {}}, "missing required attribute 'OrgID'"),
    ({"OrgID": 1, "Report": {}}, "missing required attribute 'ClusterName'"),
    ({"OrgID": 1, "ClusterName": CLUSTER}, "missing required attribute 'Report'"),
    (reported(1, ClusterName="c1"), "cluster name is not a UUID"),
    (reported(1, LastChecked="soon"), "LastChecked: got"),
    (reported(1, Metadata={"gathering_time": "soon"}), "Metadata.gathering_time: got"),
    (reported(1, Report={"reports": [hit("a", "K")]}), "improper report structure, missing key(s) with name"),
    (reported(1, {"component": "a.report"}), "reports[0].key: got null"),
]


async def test_each_faulty_message_leaves_its_reason_and_stops_nobody(
    line: Line, tables: Database, fresh: Callable[[str], str]
) -> None:
    before = await _metrics()
    good = reported(1, hit("nodes", "SMALL"))
    messages = [*(message for message, _ in FAULTS), good, good, reported(0), reported(2, Report={})]
    await line.send(messages)
    async with line.consumed(fresh("group"), tables):
        await line.until_handled(4)
        letters = await eventually(lambda: _dead(line, len(FAULTS)), within_seconds=60)
        errors = await tables.fetch("select * from consumer_error")
    places = {(row["topic"], row["partition"], row["topic_offset"]): row for row in errors}
    assert len(places) == len(FAULTS)
    for letter in letters:
        row = places[letter.original_topic, letter.original_partition, letter.original_offset]
        assert row["error"] == letter.reason.removeprefix("Poison: ")
        assert row["message"].encode() == letter.value
        assert row["consumed_at"] >= row["produced_at"]
    expected = {_body(message): text for message, text in FAULTS}
    for letter in letters:
        assert letter.reason.startswith(expected[letter.value or b""])
    assert await tables.fetch_value("select count(*) from report") == 1
    moved = {name: value - before[name] for name, value in (await _metrics()).items()}
    assert moved["consumed_messages"] == len(messages)
    assert moved["consuming_errors"] == len(FAULTS)
    assert moved["messages_with_empty_rule_execution_result"] == 1
    assert moved["written_reports"] + moved["old_messages"] == 3
    assert moved["failed_messages_processing_time_count"] == len(FAULTS)
    assert moved["successful_messages_processing_time_count"] == 4
    assert moved["last_checked_timestamp_lag_minutes_count"] == 3
    assert moved["produced_messages"] >= len(FAULTS)
    assert moved["sql_queries_counter"] == len(FAULTS) + 3


async def test_a_faulty_message_delivered_again_leaves_one_row(
    line: Line, tables: Database, fresh: Callable[[str], str]
) -> None:
    await line.send([FAULTS[2][0], reported(1)])
    for turn in (1, 2):
        async with line.consumed(fresh("group"), tables):
            await line.until_handled(turn)
            await eventually(lambda turn=turn: _dead(line, turn), within_seconds=60)
    before = await dump(tables)
    assert len(before["consumer_error"]) == 1
    assert set(before) == set(TABLES)


async def test_organisations_that_are_not_allowed_are_refused_without_a_dead_letter(
    line: Line, tables: Database, fresh: Callable[[str], str]
) -> None:
    await line.send([reported(minute, OrgID=9) for minute in range(5)] + [reported(1, OrgID=1)])
    async with line.consumed(fresh("group"), tables, allowlist=frozenset({1})):
        await line.until_handled(1)
        await eventually(lambda: _errors(tables, 5), within_seconds=60)
    rows = await tables.fetch("select distinct error from consumer_error")
    assert [row["error"] for row in rows] == ["organization ID is not in allow list"]
    assert await tables.fetch_value("select array_agg(org_id) from report") == [1]
    assert await _dead(line, 0) == []


def _body(message: Any) -> bytes:
    return message if isinstance(message, bytes) else json.dumps(message).encode()


async def _errors(database: Database, count: int) -> bool:
    return bool(await database.fetch_value("select count(*) from consumer_error") >= count)


async def _dead(line: Line, count: int) -> list[DeadLetter] | None:
    found = await list_dead_letters(line.settings, line.topic.dead_letters)
    return found if len(found) >= count else None


async def _metrics() -> dict[str, float]:
    names = (
        "consumed_messages",
        "consuming_errors",
        "messages_with_empty_rule_execution_result",
        "written_reports",
        "old_messages",
        "failed_messages_processing_time_count",
        "successful_messages_processing_time_count",
        "last_checked_timestamp_lag_minutes_count",
        "produced_messages",
        "sql_queries_counter",
    )
    return {name: REGISTRY.get_sample_value(name) or 0.0 for name in names}
