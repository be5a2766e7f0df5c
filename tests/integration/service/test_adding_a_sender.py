"""The document's example sender, taken out of the document, before a real ingress and archiver."""

import hashlib
import io
import json
import os
import random
import tarfile
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

import pytest

from headrace.runtime import retries
from headrace.runtime.errors import ConfigurationError
from headrace.runtime.retries import RetryPolicy
from headrace.runtime.settings import EngineSettings
from headrace_services.ingress import handlers as ingress_handlers
from headrace_services.ingress import store as ingress_store
from tests.examples import installed, touched
from tests.handling import contents
from tests.integration.archiver.harness import running_archiver
from tests.integration.ingress.harness import UPLOAD, open_ingress
from tests.proxy import S3Faults, S3Proxy
from tests.service import own, running
from tests.waiting import eventually

PAGE = "adding-a-sender.md"
CLUSTER = "11111111-2222-3333-4444-555555555555"
TOKEN = "the-nodes-token"
TOKENS = json.dumps({hashlib.sha256(TOKEN.encode()).hexdigest(): {"org_id": "42"}})
# Whoever takes this row's uploads, as the page says it.
ACCEPTED: dict[str, Any] = {"VALID_UPLOAD_TYPES": "node-reports", "TOKENS": TOKENS}
ARCHIVED = {"SERVICES": '{"node-reports": {}}'}
MODIFIED = 1_795_000_000
PAUSE_SECONDS = 1


@pytest.fixture
def row(tmp_path):
    with installed(PAGE, tmp_path) as row:
        yield own(row)


@pytest.fixture
def reports(tmp_path):
    """The directory, with two reports that have been written and one that is being written."""
    directory = tmp_path / "reports"
    directory.mkdir()
    write(directory, "disks.json", b'{"disks": 3}')
    write(directory, "fans.json", b'{"fans": 2}')
    write(directory, "power.json.part", b'{"po')
    return directory


def write(directory, name, content):
    (directory / name).write_bytes(content)
    os.utime(directory / name, (MODIFIED, MODIFIED))


def waiting(directory):
    return {path.name for path in directory.glob("*.json")}


@asynccontextmanager
async def sending(row, ingress_url, directory, **environment):
    """The sender's health while it runs; `environment` are its variables, without `NODE_REPORTS_`."""
    given = {"PATH": str(directory), "CLUSTER_ID": CLUSTER, "TOKEN": TOKEN, "INTERVAL": "0.05"} | environment
    variables = {f"NODE_REPORTS_{name}": text for name, text in given.items()}
    async with running(
        [row], EngineSettings(), environment=variables | {"INGRESS_URL": ingress_url + UPLOAD}
    ) as host:
        yield host.contexts[0].health


def members(archive):
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as tar:
        return {member.name: tar.extractfile(member).read() for member in tar}


async def statuses(ingress):
    return [json.loads(record.value) for record in await ingress.records.all(ingress.status_topic)]


async def test_a_503_is_retried_when_it_says_and_every_report_is_archived_once(
    row, reports, engines, fresh, objects, monkeypatch
):
    monkeypatch.setattr(ingress_store, "RETRY", RetryPolicy(attempts=1))
    # Without jitter the pause is what ingress asks for, and nothing else.
    monkeypatch.setattr(retries, "_draw", lambda _draw: 0.0)
    monkeypatch.setattr(ingress_handlers, "_RETRY_AFTER", {"Retry-After": str(PAUSE_SECONDS)})
    archives = fresh("archives")
    async with (
        S3Proxy.open(engines.s3) as store,
        open_ingress(engines.kafka, engines.s3, s3_seen_by_ingress=store.url, **ACCEPTED) as ingress,
        running_archiver(engines, ingress, bucket=archives, **ARCHIVED),
    ):
        store.faults = S3Faults(slow_down_share=1.0)
        async with sending(row, ingress.url, reports) as health:
            await eventually(
                lambda: said(ingress, "error"), describe="an upload that ingress could not store"
            )
            assert waiting(reports) == {"disks.json", "fans.json"}
            store.faults = S3Faults()
            ((key, archive),) = await eventually(
                lambda: found(objects, archives), describe="an archived upload"
            )
            await eventually(lambda: not waiting(reports), describe="the reports deleted")
            assert health.problems == {}
        assert f"/{CLUSTER[:2]}/{CLUSTER}/" in key
        assert members(archive) == {
            "config/id": CLUSTER.encode(),
            "reports/disks.json": b'{"disks": 3}',
            "reports/fans.json": b'{"fans": 2}',
        }
        first, *others = await said(ingress, "error") + await said(ingress, "success")
        assert [status["request_id"] for status in others] == [first["request_id"]]
        assert moment(others[0]) - moment(first) >= timedelta(seconds=PAUSE_SECONDS * 0.9)
        # Killed before it had deleted them, it sends the same reports again.
        write(reports, "disks.json", b'{"disks": 3}')
        write(reports, "fans.json", b'{"fans": 2}')
        async with sending(row, ingress.url, reports):
            await eventually(lambda: not waiting(reports), describe="the reports deleted again")
        assert await ingress.objects() == [first["request_id"]]
        assert (reports / "power.json.part").exists()


async def said(ingress, status):
    return [found for found in await statuses(ingress) if found["status"] == status]


async def found(store, bucket):
    return (await contents(store, bucket)).items()


def moment(status):
    return datetime.fromisoformat(status["date"])


async def test_what_is_too_large_is_sent_in_halves_and_a_report_that_alone_is_too_large_is_set_aside(
    row, reports, engines
):
    # Bytes that do not compress.
    noise = random.Random(0)
    for name, size in (("large.json", 6000), ("logs.json", 2500), ("nodes.json", 2500)):
        write(reports, name, noise.randbytes(size))
    async with (
        open_ingress(engines.kafka, engines.s3, DEFAULTMAXSIZE="4000", **ACCEPTED) as ingress,
        sending(row, ingress.url, reports),
    ):
        await eventually(lambda: not waiting(reports), describe="nothing waiting")
        assert [path.name for path in (reports / "refused").iterdir()] == ["large.json"]
        sent = await contents(ingress.store, ingress.bucket)
    names = sorted(name for archive in sent.values() for name in members(archive) if name != "config/id")
    assert names == [f"reports/{name}.json" for name in ("disks", "fans", "logs", "nodes")]


@pytest.mark.parametrize(
    ("taken", "answer"),
    [
        ({"VALID_UPLOAD_TYPES": "node-reports"}, "ingress answered 401"),
        ({"TOKENS": TOKENS}, "ingress answered 415"),
    ],
)
async def test_of_a_sender_that_is_not_accepted_everything_stays_and_the_health_report_says_why(
    row, reports, engines, taken, answer
):
    async with (
        open_ingress(engines.kafka, engines.s3, **taken) as ingress,
        sending(row, ingress.url, reports) as health,
    ):
        (problem,) = await eventually(lambda: list(health.problems.values()), describe="a problem")
        assert problem.startswith(answer)
        assert TOKEN not in problem
        assert waiting(reports) == {"disks.json", "fans.json"}


async def test_a_report_that_was_replaced_while_it_was_sent_is_not_deleted(row, reports):
    store = row.module("store")
    directory = store.Reports(reports)
    ((old, other),) = directory.batches(1 << 20)
    write(reports, "disks.json", b'{"disks": 12}')
    directory.remove([old, other])
    assert waiting(reports) == {"disks.json"}


async def test_a_sender_without_a_cluster_does_not_start(row, reports):
    with pytest.raises(ConfigurationError, match="NODE_REPORTS_CLUSTER_ID"):
        async with sending(row, "http://127.0.0.1:9", reports, CLUSTER_ID=""):
            pass


async def test_a_sender_without_a_directory_is_off(row):
    async with sending(row, "http://127.0.0.1:9", "") as health:
        assert health.problems == {}


def test_the_document_touches_nothing_but_a_row_and_a_folder(row):
    assert touched(PAGE, row) == {"services/headrace_services/registry.py"}
