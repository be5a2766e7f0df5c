"""The document's example service, taken out of the document, on real engines."""

import uuid

import aiohttp
import pytest

from headrace.bus.producer import Producer
from headrace.contracts.archive_synced import ArchiveMetadata, ArchiveSynced
from headrace.runtime import metrics
from headrace.runtime.settings import EngineSettings
from headrace.service.declarations import settings_of
from headrace.service.initialise import initialise
from tests import identities
from tests.examples import installed, touched
from tests.service import connected, own, running, url_of
from tests.waiting import eventually

PAGE = "adding-a-service.md"
CLUSTERS = ("11111111-2222-3333-4444-555555555555", "66666666-7777-8888-9999-000000000000")


@pytest.fixture
def row(tmp_path):
    """The example's row, its folder importable, on a topic and a database of its own."""
    with installed(PAGE, tmp_path) as row:
        yield own(row)


@pytest.fixture
async def host(row, engines):
    settings = EngineSettings(kafka=engines.kafka, s3=engines.s3, postgres=engines.postgres)
    await initialise(settings, [row])
    async with running([row], settings) as host:
        yield host
    async with connected(engines.postgres) as admin:
        await admin.execute(f'drop database "{row.database}" with (force)')


def synced(cluster_id, second):
    return ArchiveSynced(
        path=f"archives/compressed/{cluster_id[:2]}/{cluster_id}/202611/21/2128{second:02}.tar.gz",
        original_path="upload",
        metadata=ArchiveMetadata(cluster_id=cluster_id, external_organization="12345"),
        request_id=uuid.uuid4().hex,
        bucket="insights-archives",
        service="ols",
    )


async def shown(host, org_id="12345"):
    status, body = await asked(host, "/clusters", {"x-rh-identity": identities.user(org_id)})
    assert status == 200
    return body


async def asked(host, path, headers=None):
    async with (
        aiohttp.ClientSession() as session,
        session.get(url_of(host) + path, headers=headers) as response,
    ):
        return response.status, await response.json()


def handled(row):
    labels = {"service": row.name, "topic": row.consumes[0].topic.name, "outcome": "processed"}
    return metrics.REGISTRY.get_sample_value("headrace_messages_total", labels)


async def test_the_documents_service_consumes_stores_and_answers(row, host):
    (consumed,) = row.consumes
    messages = [synced(cluster_id, second) for cluster_id in CLUSTERS for second in (1, 2)]
    producer = await Producer.open(host.contexts[0].engines, service="test")
    # The newest of each once more, as a redelivery has it.
    for message in (*messages, messages[1], messages[3]):
        await producer.send(consumed.topic, message, key=message.metadata.cluster_id)
    await producer.close()
    await eventually(lambda: handled(row) == 6, describe="six messages handled")
    assert await shown(host) == {messages[1].metadata.cluster_id: messages[1].path} | {
        messages[3].metadata.cluster_id: messages[3].path
    }
    assert await shown(host, "67890") == {}
    assert (await asked(host, "/clusters"))[0] == 401
    _, document = await asked(host, row.openapi_path)
    assert document["paths"].keys() == {"/clusters", row.openapi_path}
    assert host.contexts[0].health.problems == {}


def test_the_documents_service_has_settings_that_can_be_listed(row):
    (kind,) = settings_of(row)
    assert kind.__name__ == "LastSeenSettings"


def test_the_document_touches_nothing_but_a_row_and_a_folder(row):
    assert touched(PAGE, row) == {"services/headrace_services/registry.py"}
