import base64
import gzip
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import asyncpg
import pytest
from prometheus_client.parser import text_string_to_metric_families

from headrace.bus.admin import ensure_topics
from headrace.bus.producer import Producer
from headrace.contracts.status import PayloadStatus
from headrace.contracts.topics import PAYLOAD_STATUS
from headrace.runtime.settings import EngineSettings
from headrace_services.results_aggregator.metrics import EXPORTED
from tests.engines import SessionEngines
from tests.integration.results_aggregator.reporting import CLUSTER, hit, recommended, reported
from tests.records import reader
from tests.service import own, own_database, running, url_of
from tests.waiting import eventually

PREFIX = "INSIGHTS_RESULTS_AGGREGATOR__"


@dataclass
class Running:
    url: str
    admin: str
    producer: Producer
    reports: str
    workloads: str
    database: str


@pytest.fixture
async def service(engines: SessionEngines, tmp_path: Path) -> AsyncIterator[Running]:
    """The aggregator as `headrace serve` runs it, configured by upstream's file and variables."""
    file = tmp_path / "config.toml"
    file.write_text('[metrics]\nnamespace = "aggregator"\n[server]\norg_overview_limit_hours = 3\n')
    settings = EngineSettings(kafka=engines.kafka, s3=engines.s3, postgres=engines.postgres)
    async with own_database(engines.postgres) as database:
        row = own("results_aggregator", database=database)
        await ensure_topics(settings, [*row.topics, PAYLOAD_STATUS])
        producer = await Producer.open(settings, service="test")
        environment = {
            "INSIGHTS_RESULTS_AGGREGATOR_CONFIG_FILE": str(file),
            PREFIX + "BROKER__TOPIC": "elsewhere",
        }
        async with running([row], settings, environment=environment) as host:
            reports, workloads = (item.topic.name for item in row.consumes)
            admin = f"http://127.0.0.1:{host.admin_port}"
            yield Running(url_of(host), admin, producer, reports, workloads, database)
        EXPORTED.namespace = ""
        await producer.close()


async def test_what_is_on_the_topics_is_stored_reported_measured_and_served(
    service: Running, engines: SessionEngines, fresh: Callable[[str], str]
) -> None:
    request_id, faulty = fresh("request"), fresh("request")
    identity = {"identity": {"org_id": "1", "type": "User", "user": {"user_id": "5"}}}
    header = base64.b64encode(json.dumps(identity).encode()).decode()
    # A starved broker is fenced for a moment, and knows no topic meanwhile.
    await service.producer.send_raw(
        service.reports,
        _body(reported(1, hit("nodes", "SMALL"), RequestId=request_id)),
        key=None,
        timeout_seconds=60.0,
    )
    await service.producer.send_raw(
        service.reports, _body(reported(1, OrgID=None, RequestId=faulty)), key=None
    )
    await service.producer.send_raw(
        service.workloads, gzip.compress(_body(recommended(1, probes=[("web", "a")]))), key=None
    )
    async with aiohttp.ClientSession(headers={"x-rh-identity": header}) as session:

        async def exported() -> dict[str, float]:
            async with session.get(f"{service.admin}/metrics") as response:
                families = text_string_to_metric_families(await response.text())
                return {sample.name: sample.value for family in families for sample in family.samples}

        async def all_ended() -> bool:
            # Metrics are the process', and other tests run in it: the rows and statuses are this test's own.
            stored = await connection.fetchval(
                "select (select count(*) from report) + (select count(*) from dvo.dvo_report)"
            )
            return stored == 2 and await connection.fetchval("select count(*) from consumer_error") == 1

        connection = await asyncpg.connect(service.database)
        await eventually(all_ended, within_seconds=60)
        assert {
            f"aggregator_{name}"
            for name in (
                "consumed_messages",
                "messages_with_empty_rule_execution_result",
                "successful_messages_processing_time_sum",
                "failed_messages_processing_time_sum",
                "last_checked_timestamp_lag_minutes_bucket",
                "produced_messages",
                "sql_queries_counter",
                "sql_queries_durations_sum",
            )
        } <= (await exported()).keys()
        path = f"/api/v1/organizations/1/clusters/{CLUSTER}/users/5/report"
        async with session.get(service.url + path) as response:
            assert response.status == 200, await response.text()
            (entry,) = (await response.json())["report"]["reports"]
            assert (entry["component"], entry["key"]) == ("pack.rules.nodes.report", "SMALL")
    assert await connection.fetchval("select count(*) from dvo.dvo_report") == 1
    await connection.close()
    statuses = await eventually(lambda: _statuses(engines, request_id, faulty), within_seconds=60)
    assert statuses[request_id] == [("received", ""), ("success", "stored: 1 rule hit")]
    reached, (status, reason) = statuses[faulty]
    assert (reached[0], status) == ("received", "error")
    assert reason == "dead-lettered: missing required attribute 'OrgID'"


async def _statuses(engines: SessionEngines, *requests: str) -> dict[str, list[tuple[str, str]]] | None:
    """What was reported of each request, once all have two statuses."""
    consumer = reader(engines.kafka, PAYLOAD_STATUS.name)
    await consumer.start()
    found: dict[str, list[tuple[str, str]]] = {request: [] for request in requests}
    try:
        while fetched := await consumer.getmany(timeout_ms=1000):
            for record in (record for records in fetched.values() for record in records):
                status = PayloadStatus.from_json(record.value)
                if status.request_id in found and status.service == "results-aggregator":
                    found[status.request_id].append((status.status, status.status_msg))
    finally:
        await consumer.stop()
    return found if all(len(each) == 2 for each in found.values()) else None


def _body(message: object) -> bytes:
    return json.dumps(message).encode()
