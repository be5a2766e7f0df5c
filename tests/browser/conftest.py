"""A real browser, and a console with every view filled: `make test-browser` installs what this needs."""

import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from headrace_services.console.flow import HELD, WELL, State
from tests.unit.console import made
from tests.unit.console.test_pages import archive, record, whole

CHROMIUM = os.environ.get("HEADRACE_TEST_CHROMIUM") or shutil.which("chromium") or ""
REQUEST_ID = "9a1f00c2d4e84b7f9c55a1b2c3d4e5f6"
REASON = "the column container_name is missing (line 1 has 31 columns, expected 32)"


@pytest.fixture
async def browser() -> AsyncIterator[Any]:
    if not CHROMIUM:
        pytest.skip("chromium is not installed: make test-browser")
    from playwright.async_api import async_playwright

    async with async_playwright() as playwright:
        opened = await playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"]
        )
        yield opened
        await opened.close()


@pytest.fixture
async def console() -> AsyncIterator[made.Console]:
    async with made.console(filled()) as running:
        yield running


@pytest.fixture
def shots() -> Path:
    """Where screenshots are kept, for people to look at."""
    folder = Path(os.environ.get("HEADRACE_TEST_SHOTS", "dist/screenshots"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def filled() -> made.Sources:
    told = made.status
    statuses = [
        told("ingress", "received", 0, "Payload received by ingress"),
        told("ingress", "success", 0.12, "Sent to validation service: hccm"),
        told("archiver", "received", 0.2),
        told("archiver", "success", 0.55, "copied to s3://insights-archives/0d8b5c62/archive.tar.gz"),
        told("koku", "received", 0.21),
        told("koku", "success", 1.9, "2 files of 1 cluster"),
        told("ros-processor", "received", 2.4),
        told("ros-processor", "error", 4.4, f"dead-lettered: {REASON}"),
    ]
    kinds = [("failed", "hccm", REASON), ("in_progress", "openshift", "copied"), ("done", "openshift", "3 rules hit"),
             ("silent", "hccm", ""), ("failed", "advisor", "refused with 415: no service accepts it")]  # fmt: skip
    payloads = [
        made.payload(
            id=number, request_id=REQUEST_ID if not number else f"{number:032x}", upload_service=service, state=state,
            cluster=f"0d8b5c62-1111-4222-8333-4444555566{number:02d}", reason=reason, refused=service == "advisor",
            silent=["koku"] if state == "silent" else [],
        )
        for number, (state, service, reason) in enumerate(kinds * 2)
    ]  # fmt: skip
    states = {row.name: State(WELL) for row in made.ROWS} | {
        "ros_poller": State(HELD, ["consumes rosocp.kruize.recommendations: held: kruize does not answer"])
    }
    hits = [
        made.hit(description="Nodes are not ready", reason="Node **worker-1** is *NotReady*.", summary="", more_info="",
                 resolution="1. `oc describe node`\n2. Restart the kubelet.", total_risk=4, selector="pack.nodes|KEY"),
        made.hit(description="An operator is degraded", reason="`storage` is degraded.", resolution="Look at its pods.",
                 total_risk=2, disabled=True, disable_feedback="planned work", more_info="", selector="pack.ops|KEY"),
    ]  # fmt: skip
    cluster_id = "0d8b5c62-1111-4222-8333-444455556600"
    return made.Sources(
        payloads=payloads,
        statuses=statuses,
        archives=[{"bucket": "insights-archives", "key": f"{cluster_id}/a.tar.gz", "service": "hccm",
                   "copied_at": made.at(0)}],
        clusters=[made.cluster(cluster_id, cluster_version="4.17.3", request_id=REQUEST_ID),
                  made.cluster(cluster_id[:-2] + "01", cluster_version="4.16.1", hits=0, hits_by_total_risk={})],
        cluster=made.cluster(cluster_id, cluster_version="4.17.3", request_id=REQUEST_ID, hits=hits, passed=19,
                             skipped=[{"rule_id": "pack.rules.pods", "reason": "the archive has no pods"}]),
        sendings=[made.sending("0d8b5c62-1111-4222-8333-444455556601", reason=""),
                  made.sending("0d8b5c62-1111-4222-8333-444455556602", state="waiting", sent_at=None, ended_at=None,
                               reason="the endpoint answered 503")],
        facts=made.facts("example"),
        recommendations=[made.recommendation("cart"), made.recommendation("checkout", recommendations={})],
        workloads=[made.workload("cart"), made.workload("checkout", last_poll=None)],
        usage={"cart": [made.interval(number) for number in range(96)]},
        past=[{"monitoring_end_time": made.at(-86400),
               "recommendations": made.recommendation("cart")["recommendations"]}],
        letters=[made.letter(offset=number, original_offset=number, reason=REASON, request_id=REQUEST_ID)
                 for number in range(3)],
        whole=whole(reason=REASON, headers=(("service", b"hccm"),)),
        records=[record(offset=number, headers=(("service", b"hccm"),)) for number in range(5)],
        states=states,
        object=archive("manifest.json", "cost/usage.csv"),
    )  # fmt: skip
