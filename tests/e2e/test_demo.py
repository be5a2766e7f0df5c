"""What `make run ONCE=1` runs."""

import re

import psutil
import pytest

from headrace.local.ports import EnginePorts
from tests.e2e.command import headrace

pytestmark = [pytest.mark.xdist_group("e2e"), pytest.mark.slow]

KEY = re.compile(
    r"s3://insights-archives/archives/compressed/([0-9a-f]{2})/\1[0-9a-f-]{34}/\d{6}/\d{2}/\d{6}\.tar\.gz(  |$)"
)
ROS = ("cost ", "the ROS document's curl ")
SENT = ("ols ", "insights ", "cost ", "assisted ", "the ROS document's curl ")


def test_every_sample_arrives_under_its_key(tmp_path):
    options = ("--directory", tmp_path / "stack", "--port-base", EnginePorts.random().kafka)
    shown = headrace("demo", "--once", *options)
    assert shown.returncode == 0, shown.stdout + shown.stderr
    lines = shown.stdout.splitlines()
    table = lines[next(number for number, line in enumerate(lines) if line.startswith("sent ")) + 1 :]
    for row, name in zip(table, SENT, strict=False):
        assert row.startswith(name), table
        assert KEY.search(row), row
        assert row.endswith(" 9 containers of 11 workloads") == (name in ROS), row
        assert (re.search(r"\d\d: CERTIFICATES_EXPIRING, ", row) is not None) == (name == "insights "), row
    assert re.search(
        r"^demo-\S+ +shop-prod +deployment/checkout +checkout +short +cost ", shown.stdout, re.MULTILINE
    )
    title = next(number for number, line in enumerate(lines) if line.startswith("sender "))
    senders = {line[:20].rstrip(): line[20:] for line in lines[title + 1 : title + 4]}
    assert re.search(rf"^one question, one feedback: \d+ files +{KEY.pattern}", senders["LightSpeed"])
    assert re.search(rf"^installed: 3 hosts, \d+ events +{KEY.pattern}", senders["assisted installer"])
    assert re.search(r"^[1-9]\d* audit records: [1-9]\d* events$", senders["segment bridge"].rstrip())
    assert re.search(
        r"^5 of 5 payloads and the data of 3 of 3 senders arrived within", shown.stdout, re.MULTILINE
    ), shown.stdout
    assert re.search(r"^ready after \d+\.\d s$", shown.stdout, re.MULTILINE), shown.stdout
    assert left_over(tmp_path) == []


def test_payload_that_does_not_arrive_ends_the_demo_with_its_reason(s3_endpoints, tmp_path):
    # The other server where there is one, so that a stack on each has been seen.
    server = "minio" if "minio" in s3_endpoints else "seaweedfs"
    options = ("--directory", tmp_path / "stack", "--port-base", EnginePorts.random().kafka, "--s3", server)
    shown = headrace("demo", "--once", *options, INGRESS_VALID_UPLOAD_TYPES="ols,hccm,assisted-installer")
    assert shown.returncode == 1
    assert re.search(r"^4 of 5 payloads and the data of", shown.stdout, re.MULTILINE), (
        shown.stdout + shown.stderr
    )
    reason = (
        r"headrace: insights \([0-9a-f]{32}\): .* answered 415 for .*: Unsupported service 'openshift': .*\n"
    )
    assert re.fullmatch(reason, shown.stderr), shown.stderr
    found = [line for line in shown.stdout.splitlines() if KEY.search(line)]
    assert {name for name in SENT for line in found if line.startswith(name)} == {*SENT} - {"insights "}
    assert left_over(tmp_path) == []


def test_demo_that_cannot_start_says_why_in_one_line(tmp_path):
    shown = headrace("demo", "--once", "--port-base", "80", "--directory", tmp_path / "stack")
    assert shown.returncode == 1
    assert shown.stderr == "headrace: --port-base must be between 1024 and 55000, got 80\n"


def left_over(directory):
    """Processes of a stack on the directory."""
    lines = [process.info["cmdline"] or [] for process in psutil.process_iter(["cmdline"])]
    return [line for line in lines if any(str(directory) in word for word in line)]
