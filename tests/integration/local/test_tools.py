"""The commands of the ROS document as it prints them, on the session's engines: addresses, topic and bucket apart."""

import asyncio
import json
import os
import uuid
from contextlib import asynccontextmanager
from dataclasses import dataclass

import asyncpg
import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from headrace.local import tools
from headrace.local.shape import local_shape
from headrace.local.supervisor import EngineStatus
from headrace.local.tools import write_tools
from tests.integration.local.clients import s3_client
from tests.records import reader

SECONDS = 30
EVENT = """\
cat << EOF | kafka-console-producer --broker-list localhost:29092 --topic hccm.ros.events
{
  "request_id": "test-request-123",
  "metadata": {
    "account": "12345",
    "cluster_alias": "test-cluster {1}"
  },
  "files": [
    "http://minio:9000/ros-data/$CSV_FILENAME"
  ]
}
EOF
"""


def status(name, url, *, address="", state="ready"):
    return EngineStatus(
        name=name, product="", version="", url=url, address=address or url, credentials={}, state=state
    )


@dataclass
class Shell:
    """Runs what a person types; the document's own names stand for the session's."""

    path: str
    names: dict[str, str]
    environment: dict[str, str]

    @asynccontextmanager
    async def running(self, line):
        for printed, here in self.names.items():
            line = line.replace(printed, here)
        process = await asyncio.create_subprocess_shell(
            line,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, "PATH": f"{self.path}:{os.environ['PATH']}", **self.environment},
        )
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()
            await process.communicate()

    async def type(self, line, *, code=0):
        """What it printed; it has to end with that code."""
        async with self.running(line) as process:
            said, complained = await asyncio.wait_for(process.communicate(), SECONDS)
            assert process.returncode == code, complained.decode()
            return complained.decode() if code else said.decode()


@pytest.fixture
async def shell(engines, database, tmp_path, fresh):
    s3_address = f"http://{engines.s3.rpartition('@')[2]}"
    rows = [status("kafka", engines.kafka), status("s3", engines.s3, address=s3_address)]
    tools = await write_tools(tmp_path, [*rows, status("postgres", database)], print)
    topic, bucket = fresh("hccm.ros.events"), fresh("ros-data")
    admin = AIOKafkaAdminClient(bootstrap_servers=engines.kafka)
    await admin.start()
    await admin.create_topics([NewTopic(topic, 1, 1)])
    await admin.close()
    async with s3_client(engines.s3) as s3:
        await s3.create_bucket(Bucket=bucket)
    return Shell(
        str(tools),
        {"localhost:29092": engines.kafka, "hccm.ros.events": topic, "ros-data": bucket},
        {"HEADRACE_S3": engines.s3},
    )


async def messages(shell):
    """Everything on the topic."""
    consumer = reader(shell.names["localhost:29092"])
    await consumer.start()
    try:
        partition = TopicPartition(shell.names["hccm.ros.events"], 0)
        consumer.assign([partition])
        await consumer.seek_to_beginning(partition)
        (end,) = (await consumer.end_offsets([partition])).values()
        found = []
        while len(found) < end:
            for records in (await consumer.getmany(partition, timeout_ms=1000)).values():
                found += [record.value for record in records]
        return found
    finally:
        await consumer.stop()


async def test_psql_counts_rows_without_asking_for_a_password(shell, database):
    connection = await asyncpg.connect(database)
    await connection.execute("create table workloads as select generate_series(1, 3)")
    await connection.close()
    said = await shell.type('psql -U postgres -c "SELECT COUNT(*) FROM workloads;"')
    assert said.split() == ["count", "-------", "3", "(1", "row)"]


async def test_kafka_topics_are_listed(shell):
    said = await shell.type("kafka-topics --list --bootstrap-server localhost:29092")
    assert shell.names["hccm.ros.events"] in said.splitlines()


async def test_a_message_typed_by_hand_is_sent_and_read_from_the_beginning(shell):
    await shell.type(
        """echo '{"test": "message"}' | kafka-console-producer --broker-list localhost:29092 --topic hccm.ros.events"""
    )
    command = """kafka-console-consumer \\
      --bootstrap-server localhost:29092 \\
      --topic hccm.ros.events \\
      --from-beginning"""
    async with shell.running(f"exec {command}") as process:
        line = await asyncio.wait_for(process.stdout.readline(), SECONDS)
        assert json.loads(line) == {"test": "message"}


async def test_an_event_printed_over_several_lines_is_one_message(shell):
    await shell.type("CSV_FILENAME=a.csv\n" + EVENT)
    (message,) = await messages(shell)
    event = json.loads(message)
    assert event["metadata"]["cluster_alias"] == "test-cluster {1}"
    assert event["files"] == [f"http://minio:9000/{shell.names['ros-data']}/a.csv"]


async def test_lines_that_are_no_json_are_a_message_each(shell):
    await shell.type(
        "printf 'one\\n{ two\\nthree\\n' | kafka-console-producer --broker-list=localhost:29092 --topic hccm.ros.events"
    )
    assert await messages(shell) == [b"one", b"{ two", b"three"]


async def test_mc_copies_stdin_into_the_bucket_and_lists_it(shell, tmp_path):
    (tmp_path / "usage.csv").write_bytes(b"a,b\n" * 2_000_000)
    file = tmp_path / "usage.csv"
    await shell.type(f"CSV_FILENAME=u_report.0.csv; mc cp /dev/stdin myminio/ros-data/$CSV_FILENAME < {file}")
    await shell.type(f"mc cp {file} myminio/ros-data/date=1/")
    listed = (await shell.type("mc ls myminio/ros-data/")).splitlines()
    assert [line.split()[-1] for line in listed] == ["date=1/", "u_report.0.csv"]
    assert "7.6MiB STANDARD u_report.0.csv" in listed[1]
    every = (await shell.type("mc ls -r other/ros-data")).splitlines()
    assert [line.split()[-1] for line in every] == ["date=1/usage.csv", "u_report.0.csv"]
    await shell.type(f"mc cp myminio/ros-data/u_report.0.csv {tmp_path}/back.csv")
    assert (tmp_path / "back.csv").read_bytes() == file.read_bytes()
    assert await shell.type(f"mc cat myminio/ros-data/date=1/usage.csv | cmp - {file}") == ""
    await shell.type("mc rm myminio/ros-data/u_report.0.csv")
    assert "does not exist" in await shell.type("mc cat myminio/ros-data/u_report.0.csv", code=1)


async def test_lines_as_printed_run_with_the_stand_in_for_podman(shell, database):
    connection = await asyncpg.connect(database)
    await connection.execute("create table workloads ()")
    await connection.close()
    shell.path = f"{shell.path}/as-printed"
    said = await shell.type('podman exec db-ros_1 psql -U postgres -c "SELECT COUNT(*) FROM workloads;"')
    assert said.split()[2] == "0"
    await shell.type("echo 1,2 | podman exec -i minio_1 /usr/bin/mc cp /dev/stdin myminio/ros-data/f.csv")
    assert "f.csv" in await shell.type("podman exec minio_1 /usr/bin/mc ls myminio/ros-data/")
    said = await shell.type("podman exec rosocp-processor_1 curl -sI http://minio:9000/ros-data/f.csv")
    assert said.startswith("HTTP/1.1 ")
    assert "knows only: podman exec" in await shell.type("podman run image", code=125)
    assert "expected: podman exec" in await shell.type("podman exec kafka_1", code=125)
    assert "knows only: podman-compose up [-d], ps, logs" in await shell.type("podman-compose pull", code=125)
    # On PATH the stand-in comes first, else util-linux' own.
    name = await shell.type("FILE_UUID=$(uuidgen | tr '[:upper:]' '[:lower:]'); echo $FILE_UUID")
    assert uuid.UUID(name.strip()).version == 4


async def test_the_local_shape_writes_what_its_engines_allow_for(engines, tmp_path, monkeypatch):
    for name, text in {
        "HEADRACE_KAFKA": engines.kafka,
        "HEADRACE_S3": engines.s3,
        "HEADRACE_POSTGRES": engines.postgres,
        "HEADRACE_LENIENT": "true",
        "HEADRACE_STOP_SECONDS": "5",
        "HEADRACE_ADMIN_PORT": "0",
    }.items():
        monkeypatch.setenv(name, text)
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "of-an-earlier-start").touch()
    async with local_shape([], directory=tmp_path):
        shell = Shell(f"{tools}/as-printed:{tools}", {}, {})
        assert (await shell.type("psql -U postgres -Atc 'select 1'")).strip() == "1"
        # Of the running stack, when the environment names no S3.
        shell.environment["HEADRACE_S3"] = ""
        assert "bucket elsewhere does not exist" in await shell.type("mc ls myminio/elsewhere/", code=1)
        said = await shell.type("podman-compose ps")
        assert said.splitlines()[1].split() == ["kafka", "given"]
        # As the document starts everything, where the stack runs already.
        assert f"is already running as process {os.getpid()}" in await shell.type("podman-compose up -d")
    assert {path.name for path in tools.iterdir()} == {"as-printed", "mc", "psql"}


@pytest.mark.parametrize("composer", ["podman-compose", "docker-compose"])
async def test_the_composer_says_its_words_to_the_local_stack(composer, tmp_path, monkeypatch):
    headrace = tmp_path / "a headrace"
    headrace.write_text('#!/bin/sh\necho "$HEADRACE_DIRECTORY: $*"\n', encoding="utf-8")
    headrace.chmod(0o700)
    monkeypatch.setattr(tools, "_headrace", lambda: str(headrace))
    written = tools._write_all(
        tmp_path, None, postgres_url="postgresql://postgres@127.0.0.1:1/x", s3="http://127.0.0.1:1"
    )
    shell = Shell(f"{written}/as-printed", {}, {})
    for typed, said in {
        "up -d": "up -d",
        "ps": "status",
        "logs rosocp-processor": "logs rosocp-processor",
        "logs --tail=20 kafka": "logs --tail=20 kafka",
        "down -v": "down",
    }.items():
        assert await shell.type(f"{composer} {typed}") == f"{tmp_path}: {said}\n"
    assert f"knows only: {composer} up" in await shell.type(f"{composer} -f other.yaml up -d", code=125)
