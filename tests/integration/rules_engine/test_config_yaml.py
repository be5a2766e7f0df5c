"""Engines started from config.yaml files, as processes of their own, on Kafka and S3."""

import asyncio
import base64
import gzip
import json
import os
import signal
import sys
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest
import yaml
from aiokafka import AIOKafkaProducer

from headrace.bus.admin import ensure_topics
from headrace.bus.connection import client_arguments
from headrace.contracts.message import Message
from headrace.contracts.topics import Topic
from headrace.objects.endpoint import S3Endpoint
from headrace.objects.store import ObjectStore
from headrace.runtime.settings import EngineSettings
from headrace.samples import KINDS, SampleOptions
from tests import forked
from tests.records import reader
from tests.waiting import eventually

ROOT = Path(__file__).parents[3]
COMPAT = ROOT / "services" / "headrace_services" / "rules_engine" / "config_yaml" / "compat"
IDENTITY = {
    "identity": {
        "account_number": "6212377",
        "auth_type": "basic-auth",
        "internal": {"auth_time": 1400, "org_id": "12383032"},
        "type": "User",
    }
}
TIMESTAMP = "2020-01-23T16:15:59.478901889Z"


@dataclass
class World:
    """Topics, a bucket with an archive in it, and what goes over them."""

    kafka: str
    settings: EngineSettings
    incoming: str
    outgoing: str
    statuses: str
    dead: str
    cluster_id: str
    key: str
    url: str
    bucket: str

    async def announce(self, request_id: str, **changes: object) -> None:
        message = {
            "account": 6212377,
            "url": self.url,
            "b64_identity": base64.b64encode(json.dumps(IDENTITY).encode()).decode(),
            "timestamp": TIMESTAMP,
            "request_id": request_id,
            **changes,
        }
        producer = AIOKafkaProducer(**client_arguments(self.settings, client_id="test"))
        await producer.start()
        try:
            value = json.dumps(message).encode()
            await producer.send_and_wait(self.incoming, value, headers=[("service", b"openshift")])
        finally:
            await producer.stop()

    async def messages(self, topic: str, count: int, within_seconds: float = 30) -> list[bytes]:
        """The first messages of a topic."""
        consumer = reader(self.settings.kafka, topic)
        await consumer.start()
        found: list[bytes] = []
        try:
            async with asyncio.timeout(within_seconds):
                while len(found) < count:
                    for records in (await consumer.getmany(timeout_ms=200)).values():
                        found += [record.value or b"" for record in records]
        finally:
            await consumer.stop()
        return found


@pytest.fixture
async def world(kafka_url, s3_url, fresh, tmp_path) -> AsyncIterator[World]:
    settings = EngineSettings(kafka=kafka_url, s3=s3_url)
    names = [fresh(kind) for kind in ("announce", "results", "status", "dead")]
    await ensure_topics(settings, [Topic(name, Message, 1) for name in names], with_dead_letters=False)
    store = await ObjectStore.open(S3Endpoint.of(settings))
    cluster_id, bucket = str(uuid.uuid4()), fresh("uploads")
    await asyncio.to_thread(KINDS["insights"].generate, tmp_path, SampleOptions(cluster_id=cluster_id))
    archive = (tmp_path / KINDS["insights"].file_names[0]).read_bytes()
    try:
        await store.ensure_bucket(bucket)
        await store.put(bucket, "archive", archive)
        url = store.presign(bucket, "archive", expires_seconds=600)
        announce, results, status, dead = names
        yield World(kafka_url, settings, announce, results, status, dead, cluster_id, "archive", url, bucket)
    finally:
        await store.close()


def written(directory: Path, text: str) -> Path:
    path = directory / "config.yaml"
    path.write_text(text, encoding="utf-8")
    return path


@asynccontextmanager
async def engine(
    config: Path, *command: str, **variables: str
) -> AsyncIterator[tuple[asyncio.subprocess.Process, Path]]:
    """A process that runs it, and the file of what it writes; ended by SIGTERM, which it must obey."""
    log = config.with_name("log")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HEADRACE_")}
    environment |= {
        "PYTHONPATH": f"{ROOT / 'libs'}{os.pathsep}{ROOT}",
        "HEADRACE_ADMIN_PORT": "0",
        "RULES_ENGINE_WORKERS": "1",
        **variables,
    }
    with log.open("wb") as stream:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-u",
            *(command or ("-m", "headrace_services", "rules", "run")),
            config.name,
            cwd=config.parent,
            env=environment,
            stdout=stream,
            stderr=stream,
        )
        try:
            yield process, log
            assert process.returncode is None, log.read_text()
            process.send_signal(signal.SIGTERM)
            async with asyncio.timeout(90):
                assert await process.wait() == 0, log.read_text()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()


SEED = """
plugins:
  default_component_enabled: true
  packages: [headrace.rule_pack]
service:
  format: insights.formats._json.JsonFormat
  consumer:
    name: controller.consumer.Consumer
    kwargs:
      incoming_topic_env: INCOMING
      group_id: data-pipeline
      bootstrap_server_env: KAFKA
  downloader: {name: insights_messaging.downloaders.httpfs.Http}
  publisher:
    name: controller.publisher.Publisher
    kwargs: {outgoing_topic_env: OUTGOING, bootstrap_server_env: KAFKA}
"""


async def test_a_config_of_the_documents_vocabulary_runs_by_the_documents_own_command(world, tmp_path):
    config = written(tmp_path, SEED)
    variables = {"INCOMING": world.incoming, "OUTGOING": world.outgoing, "KAFKA": world.kafka}
    path = os.pathsep.join(map(str, (ROOT / "libs", ROOT, COMPAT)))
    async with engine(config, "-m", "insights_messaging", PYTHONPATH=path, **variables):
        await world.announce("r-1")
        (line,) = await world.messages(world.outgoing, 1)
    result = json.loads(line)
    assert line.endswith(b"\n")
    assert (result["OrgID"], result["AccountNumber"], result["ClusterName"]) == (
        12383032,
        6212377,
        world.cluster_id,
    )
    assert (result["LastChecked"], result["RequestId"]) == (TIMESTAMP, "r-1")
    assert result["Report"]["reports"]


TODAY = """
plugins:
  packages: [headrace.rule_pack, ccx_messaging]
service:
  extract_timeout: ${EXTRACT_TIMEOUT:}
  format: insights.formats._json.JsonFormat
  target_components: []
  consumer:
    name: ccx_messaging.consumers.kafka_consumer.KafkaConsumer
    kwargs:
      incoming_topic: ${CDP_INCOMING_TOPIC}
      platform_service: ${PLATFORM_SERVICE:openshift}
      dead_letter_queue_topic: ${DLQ}
      max_record_age: 60
      group.id: ${CDP_GROUP_ID:ccx_data_pipeline_app}
      bootstrap.servers: ${KAFKA}
      session.timeout.ms: 20000
      statistics.interval.ms: 1000
  downloader:
    name: ccx_messaging.downloaders.http_downloader.HTTPDownloader
    kwargs: {max_archive_size: 10MiB, allow_unsafe_links: true}
  engine: {name: ccx_messaging.engines.ocp_engine.OCPEngine}
  publisher:
    name: ccx_messaging.publishers.rule_processing_publisher.RuleProcessingPublisher
    kwargs: {outgoing_topic: "${RESULTS}", bootstrap.servers: "${KAFKA}", compression: "${COMPRESSION:gzip}"}
  watchers:
    - {name: ccx_messaging.watchers.stats_watcher.StatsWatcher, kwargs: {prometheus_port: "${PROM_PORT}"}}
    - name: ccx_messaging.watchers.cluster_id_watcher.ClusterIdWatcher
    - name: ccx_messaging.watchers.payload_tracker_watcher.PayloadTrackerWatcher
      kwargs: {bootstrap.servers: "${KAFKA}", topic: "${STATUSES}", service_name: my-pipeline}
  logging:
    version: 1
    disable_existing_loggers: false
    handlers:
      default: {level: INFO, class: logging.StreamHandler, stream: "ext://sys.stdout", formatter: default}
    formatters:
      default: {format: "%(asctime)s %(name)s %(levelname)-8s %(message)s", datefmt: "%Y-%m-%d %H:%M:%S"}
    root: {level: WARNING, handlers: [default]}
    loggers: {ccx_messaging: {level: INFO}}
"""


async def test_todays_config_runs_with_metrics_statuses_log_and_dead_letters(
    world, tmp_path, unused_tcp_port
):
    config = written(tmp_path, TODAY)
    variables = {
        "CDP_INCOMING_TOPIC": world.incoming,
        "DLQ": world.dead,
        "KAFKA": world.kafka,
        "RESULTS": world.outgoing,
        "STATUSES": world.statuses,
        "PROM_PORT": str(unused_tcp_port),
    }
    async with engine(config, **variables) as (_, log):
        await world.announce("good")
        await world.announce("bad", b64_identity="!")
        (compressed,) = await world.messages(world.outgoing, 1)
        (dead,) = await world.messages(world.dead, 1)
        statuses = [json.loads(value) for value in await world.messages(world.statuses, 5)]
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://127.0.0.1:{unused_tcp_port}/metrics") as answer,
        ):
            metrics = await answer.text()
    result = json.loads(gzip.decompress(compressed))
    assert (result["RequestId"], result["ClusterName"]) == ("good", world.cluster_id)
    assert json.loads(dead)["request_id"] == "bad"
    told = [(status["request_id"], status["status"]) for status in statuses]
    assert [status for request_id, status in told if request_id == "good"] == [
        "received",
        "processing",
        "success",
    ]
    assert [status for request_id, status in told if request_id == "bad"] == ["received", "error"]
    assert {status["service"] for status in statuses} == {"my-pipeline"}
    # The sample holds what tells hosted control planes.
    assert 'ccx_published_total{archive="hypershift"} 1.0' in metrics
    lines = log.read_text().splitlines()
    assert any(
        " ccx_messaging WARNING " in line and "max_record_age: without effect" in line for line in lines
    )
    assert not any("Traceback" in line for line in lines)


OWN = """
import json
from insights_messaging.publishers import Publisher
from insights_messaging.watchers import ConsumerWatcher, EngineWatcher


class Files(Publisher):
    def __init__(self, directory, indent=0):
        self.directory, self.indent = directory, indent

    def publish(self, input_msg, response):
        if input_msg["request_id"] == "refused":
            raise KeyError("refused")
        found = {"message": input_msg, "report": json.loads(response)}
        with open(f"{self.directory}/{input_msg['request_id']}.json", "w") as file:
            json.dump(found, file, indent=self.indent)

    def error(self, input_msg, ex):
        with open(f"{self.directory}/errors", "a") as file:
            print(input_msg["request_id"], repr(ex), file=file)


class Looks(ConsumerWatcher, EngineWatcher):
    def note(self, *words):
        with open("events", "a") as file:
            print(*words, file=file)

    def on_recv(self, input_msg):
        self.note("on_recv", input_msg["identity"]["identity"]["internal"]["org_id"])
        raise RuntimeError("a watcher that fails")

    def on_download(self, path):
        self.note("on_download", open(path, "rb").read(2).hex())

    def on_extract(self, ctx, broker, extraction):
        with open(extraction.tmp_dir + "/config/id") as file:
            self.note("on_extract", file.read()[:36], broker["org_id"])

    def on_process(self, input_msg, results):
        self.note("on_process", input_msg["cluster_name"])

    def on_consumer_success(self, input_msg, broker, results):
        self.note("on_consumer_success", len(json.loads(results)["reports"]) > 0)

    def on_consumer_failure(self, input_msg, ex):
        self.note("on_consumer_failure", type(ex).__name__)

    def on_consumer_complete(self, input_msg):
        self.note("on_consumer_complete")
"""


async def test_publisher_downloader_and_watchers_of_ones_own_are_called_as_the_framework_calls_them(
    world, tmp_path
):
    (tmp_path / "mine.py").write_text(OWN, encoding="utf-8")
    consumer = yaml.safe_load(SEED)["service"]["consumer"] | {}
    document = {
        "plugins": {"packages": ["headrace.rule_pack"]},
        "service": {
            "format": "insights.formats._json.JsonFormat",
            "consumer": consumer,
            "downloader": {"name": "insights_messaging.downloaders.httpfs.Http"},
            "publisher": {
                "name": "mine.Files",
                "args": ["${DIRECTORY}"],
                "kwargs": {"indent": "${INDENT:2}"},
            },
            "watchers": [{"name": "mine.Looks"}],
        },
    }
    config = written(tmp_path, yaml.safe_dump(document))
    variables = {"INCOMING": world.incoming, "KAFKA": world.kafka, "DIRECTORY": str(tmp_path)}
    async with engine(config, **variables) as (_, log):
        await world.announce("mine")
        found = tmp_path / "mine.json"
        await eventually(found.exists, within_seconds=30)
        await world.announce("refused")
        events = tmp_path / "events"
        await eventually(lambda: events.read_text().count("on_consumer_complete") >= 2, within_seconds=30)
        await eventually((tmp_path / "errors").exists)
    published = json.loads(found.read_text())
    assert published["report"]["reports"]
    assert published["message"]["cluster_name"] == world.cluster_id
    assert published["message"]["identity"] == IDENTITY
    assert "b64_identity" not in published["message"]
    assert events.read_text().splitlines()[:6] == [
        "on_recv 12383032",
        "on_download 1f8b",
        f"on_extract {world.cluster_id} 12383032",
        f"on_process {world.cluster_id}",
        "on_consumer_success True",
        "on_consumer_complete",
    ]
    assert "on_consumer_failure KeyError" in events.read_text()
    assert (tmp_path / "errors").read_text().startswith("refused KeyError")
    assert "a watcher that fails" in log.read_text()


SYNCED = """
plugins: {packages: [headrace.rule_pack]}
service:
  format: insights.formats._json.JsonFormat
  consumer:
    name: ccx_messaging.consumers.synced_archive_consumer.SyncedArchiveConsumer
    kwargs: {incoming_topic: "${INCOMING}", group.id: synced, bootstrap.servers: "${KAFKA}"}
  downloader:
    name: ccx_messaging.downloaders.s3_downloader.S3Downloader
    kwargs: {access_key: "${KEY}", secret_key: "${SECRET}", endpoint: "${ENDPOINT}", bucket: "${BUCKET}"}
  publisher:
    name: ccx_messaging.publishers.idp_rule_processing_publisher.IDPRuleProcessingPublisher
    kwargs: {outgoing_topic: "${OUTGOING}", bootstrap.servers: "${KAFKA}"}
"""


async def test_a_synced_archive_is_read_by_its_key_and_its_report_published(world, tmp_path):
    config = written(tmp_path, SYNCED)
    endpoint = S3Endpoint.of(world.settings)
    variables = {
        "INCOMING": world.incoming,
        "OUTGOING": world.outgoing,
        "KAFKA": world.kafka,
        "ENDPOINT": endpoint.url,
        "KEY": endpoint.access_key,
        "SECRET": endpoint.secret_key,
        "BUCKET": world.bucket,
    }
    metadata = {"cluster_id": world.cluster_id, "external_organization": "17"}
    async with engine(config, **variables):
        await world.announce("r", path=world.key, metadata=metadata)
        (value,) = await world.messages(world.outgoing, 1)
    result = json.loads(value)
    assert {name: result[name] for name in ("path", "metadata", "request_id")} == {
        "path": world.key,
        "metadata": metadata,
        "request_id": "r",
    }
    assert result["report"]["reports"]


async def refused(config: Path, **variables: str) -> str:
    """Run a config that must not start: its one line."""
    code, out, err = await forked.headrace(
        "rules",
        "run",
        str(config),
        given=b"",
        environment={
            **os.environ,
            "HEADRACE_ADMIN_PORT": "0",
            "RULES_ENGINE_WORKERS": "1",
            "HEADRACE_LOG_LEVEL": "CRITICAL",
            **variables,
        },
        directory=config.parent,
    )
    assert code == 1
    assert b"Traceback" not in out + err
    (line,) = [line for line in err.decode().splitlines() if line.startswith("headrace: ")]
    return line


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"publisher": {"name": "nowhere.Publisher"}}, "'nowhere.Publisher', but there is no module nowhere"),
        ({"logging": {"handlers": {"a": {"class": "no.such.Handler"}}}}, "service.logging: "),
        ({"target_components": ["no.such."]}, "service.target_components is ['no.such.']"),
        ({"packages": ["no_such_rules"]}, "plugins.packages: 'no_such_rules' cannot be imported"),
        ({"consumr": {}}, "service.consumr: unknown key; did you mean 'consumer'?"),
    ],
    ids=["a class", "the log", "targets", "rules", "a key"],
)
async def test_what_cannot_start_says_so_in_one_line_and_exits_with_1(tmp_path, change, line):
    document = yaml.safe_load(SEED)
    change = dict(change)
    if packages := change.pop("packages", None):
        document["plugins"]["packages"] = packages
    document["service"] |= change
    config = written(tmp_path, yaml.safe_dump(document))
    assert line in await refused(config, INCOMING="in", OUTGOING="out", KAFKA="127.0.0.1:1")


async def test_a_file_that_is_not_there_is_told(tmp_path):
    assert "config.yaml: cannot be read: No such file" in await refused(tmp_path / "config.yaml")
