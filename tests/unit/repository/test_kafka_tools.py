"""What Kafka's container adds to Kafka's tools."""

import shutil
import subprocess

import pytest

from headrace.local.one_line import one_line
from tests.composed import ROOT

EVENT = """\
{
  "request_id": "test-request-123",
  "metadata": {
    "cluster_alias": "test \\" } cluster",
    "org_id": "12345"
  },
  "files": [
    "http://minio:9000/ros-data/a.csv"
  ]
}
"""


@pytest.mark.parametrize(
    "text",
    [
        EVENT,
        EVENT + EVENT,
        '{"message": "test"}\n{"message": "more"}\n',
        "plain\n\n  text }\n",
        "{ }\n{}\n{\n}\n",
        f"before\n{EVENT}after\n",
        '{"a": {\n"b": [1,\n2]}}\n',
        "[1,\n2]\n",
    ],
)
@pytest.mark.skipif(shutil.which("awk") is None, reason="there is no awk")
def test_awk_joins_lines_as_the_local_shape_does(text):
    done = subprocess.run(
        ["awk", "-f", ROOT / "deploy" / "kafka" / "one-line.awk"],
        input=text, capture_output=True, text=True, timeout=30, check=True,
    )  # fmt: skip
    assert done.stdout.splitlines() == list(one_line(text.splitlines()))


@pytest.mark.parametrize("given", ["--broker-list", "--bootstrap-server"])
def test_tools_take_the_option_that_kafka_dropped(given, tmp_path):
    java = tmp_path / "java"
    java.write_text('#!/bin/sh\nfor word do echo "$word"; done\n', encoding="utf-8")
    java.chmod(0o700)
    done = subprocess.run(
        [ROOT / "deploy" / "kafka" / "bin" / "kafka-topics", given, "localhost:29092", f"{given}=b c"],
        env={"PATH": f"{tmp_path}:{ROOT / 'deploy' / 'kafka' / 'bin'}:/usr/bin:/bin"},
        capture_output=True, text=True, timeout=30, check=True,
    )  # fmt: skip
    wanted = [
        "org.apache.kafka.tools.TopicCommand",
        "--bootstrap-server",
        "localhost:29092",
        "--bootstrap-server=b c",
    ]
    assert done.stdout.splitlines()[-4:] == wanted
