"""`headrace up` and the commands that speak to it."""

import asyncio
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import uuid
from functools import partial
from pathlib import Path

import aiohttp
import asyncpg
import pytest

from headrace.contracts.status import TERMINAL
from headrace.laptop.uploads import as_organisation
from headrace.local.ports import EnginePorts
from headrace.samples import KINDS, SampleOptions
from headrace_services.registry import SERVICES as REGISTRY
from tests.calibration import Calibration
from tests.e2e.command import (
    ENGINES,
    REPOSITORY,
    STOP_SECONDS,
    environment,
    headrace,
    running,
    spawned,
    starting,
)
from tests.otlp import collecting, request_ids, services_of
from tests.printed import DOCUMENT, Shell
from tests.waiting import eventually

pytestmark = [pytest.mark.xdist_group("e2e"), pytest.mark.slow]

# What a newcomer reads first; a block that is no `sh` is not to be run on a stack that is there already.
PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs" / "tutorials").glob("*.md"))]
SHELL_BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
IDENTITY = "eyJpZGVudGl0eSI6eyJhY2NvdW50X251bWJlciI6IjEyMzQ1IiwiaW50ZXJuYWwiOnsib3JnX2lkIjoiMTIzNDUifX19"
SERVICES = {row.name for row in REGISTRY if row.port}


# Of one upload of each kind: the services whose work is in its trace.
TRACED = {
    "cost": {
        "ingress", "archiver", "payload_tracker", "koku", "sources_api", "ros_processor", "kruize", "ros_poller"
    },
    "insights": {"ingress", "archiver", "payload_tracker", "rules_engine", "results_aggregator"},
}  # fmt: skip


@pytest.fixture(scope="module")
def spans():
    with collecting() as collector:
        yield collector


@pytest.fixture(scope="module")
def stack(tmp_path_factory, spans):
    tracing = {
        "HEADRACE_TRACING": "true",
        "OTEL_EXPORTER_OTLP_ENDPOINT": spans.url,
        "OTEL_BSP_SCHEDULE_DELAY": "200",
    }
    with running(tmp_path_factory.mktemp("e2e") / "stack", **tracing) as ready:
        yield ready


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    directory = tmp_path_factory.mktemp("samples")
    for kind in ("ols", "cost"):
        KINDS[kind].generate(directory, SampleOptions())
    return directory


def test_dataflow_script_passes(stack, samples):
    # Under the same id, and still on its way.
    upload_as_the_ros_document(stack, samples)
    done = subprocess.run(
        [sys.executable, "tests/e2e/dataflow.py"],
        cwd=REPOSITORY,
        env=environment(HEADRACE_DIRECTORY=str(stack.directory)),
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    lines = done.stdout.splitlines()
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(lines) == 30
    assert all(re.fullmatch(r"PASS [a-z0-9 ]+ \d+\.\d{3} s", line) for line in lines), lines


async def test_every_service_that_listens_describes_itself(stack):
    urls = stack.urls()["services"]
    async with aiohttp.ClientSession() as session:
        for row in REGISTRY:
            if row.port is None:
                continue
            async with session.get(urls[row.name]["url"] + row.openapi_path) as response:
                assert response.status == 200, row.name
                document = await response.json()
            assert document["openapi"].startswith("3."), row.name
            assert document["paths"], row.name


def test_dataflow_script_ends_at_its_first_failure(stack):
    tracker = stack.urls()["services"]["payload_tracker"]["url"]
    done = subprocess.run(
        [sys.executable, "tests/e2e/dataflow.py", "--ingress", tracker],
        cwd=REPOSITORY,
        env=environment(HEADRACE_DIRECTORY=str(stack.directory)),
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 1
    failure, *log = done.stdout.splitlines()
    assert re.fullmatch(r"FAIL ingress is healthy \d+\.\d{3} s: answered 404: .*", failure), done.stdout
    assert log[0] == "last lines of ingress:"
    lines = [json.loads(line) for line in log[1:]]
    assert lines
    assert all("ingress" in (line.get("service") or line["module"]) for line in lines), log


async def test_urls_reach_every_part(stack):
    urls = stack.urls()
    assert set(urls["engines"]) == ENGINES
    assert set(urls["services"]) == SERVICES
    assert urls["engines"]["s3"]["credentials"] == {
        "access_key": "minioaccesskey",
        "secret_key": "miniosecretkey",
    }
    async with aiohttp.ClientSession() as session:

        async def well(url):
            async with session.get(url) as response:
                assert response.status == 200, f"{url}: {await response.text()}"
            return True

        # A ping may have run out of time while the machine was busy; the next one is due in seconds.
        for url in (*(row["health"] for row in urls["services"].values()), *urls["admin"].values()):
            await eventually(partial(well, url), within_seconds=90)


async def test_every_service_works_with_a_role_of_its_own_that_opens_no_other_database(stack):
    """One role for all of them, a superuser, reads every organisation's data wherever one service is broken into."""
    admin = await asyncpg.connect(stack.urls()["engines"]["postgres"]["url"])
    try:
        rows = await admin.fetch(
            "select a.usename as role, a.datname as database, r.rolsuper as super,"
            " array(select datname::text from pg_database where datname <> a.datname"
            "  and has_database_privilege(a.usename, oid, 'connect')) as others,"
            " replace(split_part(application_name, ' ', 1), 'headrace-', '') as service"
            " from pg_stat_activity a join pg_roles r on r.rolname = a.usename"
            " where application_name like 'headrace-%'"
        )
    finally:
        await admin.close()
    found = {(row["service"], row["role"], row["database"], row["super"], *row["others"]) for row in rows}
    assert found == {
        (row.name, f"headrace_{row.name}", row.database, False) for row in REGISTRY if row.database
    }


async def test_status_is_well(stack):
    parts = dict.fromkeys(ENGINES, "ready") | dict.fromkeys(
        [*(row.name for row in REGISTRY), "process"], "well"
    )

    def well():
        shown = stack.run("status", "--json")
        assert shown.returncode == 0, shown.stdout + shown.stderr
        assert {row["part"]: row["state"] for row in json.loads(shown.stdout)} == parts
        return True

    await eventually(partial(asyncio.to_thread, well), within_seconds=90)


def test_second_stack_on_the_directory_is_refused_in_one_line(stack):
    ports = EnginePorts.random()
    shown = headrace("up", "--directory", stack.directory, "--port-base", ports.kafka)
    assert shown.returncode == 1
    assert shown.stderr.startswith(f"headrace: {stack.directory} is in use by pid {stack.process.pid} (")
    assert shown.stderr.count("\n") == 1


def test_second_stack_on_the_ports_is_refused_naming_who_has_them(stack, tmp_path):
    shown = headrace("up", "--directory", tmp_path / "other", "--port-base", stack.port_base)
    assert shown.returncode == 1
    assert re.search(r"^headrace: port \d+ for .* is in use by pid \d+ \(", shown.stderr, re.MULTILINE)
    assert "Traceback" not in shown.stderr


def test_send_follows_to_the_archive_and_trace_tells_the_same(stack, samples):
    cluster, request_id = str(uuid.uuid4()), uuid.uuid4().hex
    options = ("--cluster", cluster, "--request-id", request_id, "--follow")
    sent = stack.run("send", samples / "ols.tgz", *options)
    assert sent.returncode == 0, sent.stdout + sent.stderr
    hops = re.findall(r"^ +\d+ ms  (\S+) +(\S+)", sent.stdout, re.MULTILINE)
    assert [hop for hop in hops if hop[0] == "ingress"] == [("ingress", "received"), ("ingress", "success")]
    assert ("archiver", "success") in hops
    key = re.search(r"^  archived as s3://insights-archives/(\S+)$", sent.stdout, re.MULTILINE)
    assert key
    assert key[1].startswith(f"archives/compressed/{cluster[:2]}/{cluster}/")

    traced = json.loads(stack.run("trace", request_id, "--json").stdout)
    told = [hop for hop in traced["hops"] if hop["message"] or hop["status"] in TERMINAL]
    assert sorted((hop["service"], hop["status"]) for hop in told) == sorted(hops)
    assert [archive["key"] for archive in traced["archives"]] == [key[1]]


@pytest.mark.parametrize(("kind", "file"), [("cost", "cost-mgmt.tar.gz"), ("insights", "payload.tar.gz")])
async def test_one_upload_is_one_trace_across_its_services(
    stack, tmp_path, spans, kind, file, record_property
):
    # Of a cluster nobody has seen, so that every service has work to do.
    await asyncio.to_thread(KINDS[kind].generate, tmp_path, SampleOptions(seed=77))
    request_id = f"traced-{kind}-{uuid.uuid4().hex[:8]}"
    sent = stack.run("send", tmp_path / file, "--type", kind, "--org", "12345", "--request-id", request_id)
    assert sent.returncode == 0, sent.stderr

    def whole():
        traces = spans.traces_of(request_id)
        assert len(traces) == 1
        (trace,) = traces
        assert services_of(trace) >= TRACED[kind]
        known = {span.span_id for span in trace}
        assert [span for span in trace if span.parent_span_id and span.parent_span_id not in known] == []
        return trace

    trace = await eventually(whole, within_seconds=90, every_seconds=0.2)
    assert request_ids(trace) == {request_id}
    assert services_of([span for span in trace if not span.parent_span_id]) == {"ingress"}
    record_property(
        "figures", f"{kind}: {len(trace)} spans of {len(services_of(trace))} services in one trace"
    )


def test_followed_upload_that_cannot_be_archived_fails_with_the_reason(stack, tmp_path):
    file = tmp_path / "notes.tgz"
    file.write_bytes(b"no archive at all")
    sent = stack.run("send", file, "--type", "cost", "--org", "777", "--follow")
    assert sent.returncode == 1
    assert re.fullmatch(
        r"headrace: [0-9a-f]{32}: (archiver|koku) reports: .+, (archiver|koku) reports: .+\n", sent.stderr
    ), sent.stderr


async def test_an_archive_does_not_take_another_organisations_cluster_until_an_operator_moves_it(
    stack, tmp_path
):
    cluster, ours, theirs = str(uuid.uuid4()), "1987654321", "2002"
    assert headrace("sample", "insights", "--cluster", cluster, "-o", tmp_path).returncode == 0
    aggregator = stack.urls()["services"]["results_aggregator"]["url"]

    async def seen(org_id):
        url = f"{aggregator}/api/v1/organizations/{org_id}/clusters/{cluster}/users/1/report"
        async with (
            aiohttp.ClientSession() as session,
            session.get(url, headers=as_organisation(org_id)) as response,
        ):
            return response.status

    def send(org_id):
        return stack.run(
            "send", tmp_path / "payload.tar.gz", "--type", "insights", "--org", org_id, "--follow"
        )

    async def shown_to(org_id):
        await eventually(lambda: is_shown(org_id), within_seconds=60)

    async def is_shown(org_id):
        return await seen(org_id) == 200

    def owners():
        listed = json.loads(stack.run("clusters", "list", cluster, "--json").stdout)
        return {(row["service"], row["org_id"], *row["refused"]) for row in listed}

    async def refused_everywhere():
        return len([owner for owner in owners() if theirs in owner[2:]]) == 2

    assert send(ours).returncode == 0
    await shown_to(ours)
    stolen = send(theirs)
    assert stolen.returncode == 1
    assert f"the cluster {cluster} belongs to another organisation" in stolen.stderr
    assert ours not in stolen.stderr + stolen.stdout
    await eventually(refused_everywhere, within_seconds=60, every_seconds=1)
    assert (await seen(ours), await seen(theirs)) == (200, 404)
    moved = stack.run("clusters", "move", cluster, "--to", theirs)
    assert moved.returncode == 0, moved.stderr
    assert {owner[1] for owner in owners()} == {theirs}
    assert (await seen(ours), await seen(theirs)) == (404, 200)
    assert send(theirs).returncode == 0


def test_refused_upload_is_told_with_its_reason(stack, samples):
    sent = stack.run("send", samples / "ols.tgz", "--type", "application/vnd.redhat.nobody.test+tgz")
    assert sent.returncode == 1
    assert "answered 415" in sent.stderr
    assert "Unsupported service 'nobody'" in sent.stderr


def test_trace_of_an_unknown_request_says_so(stack):
    shown = stack.run("trace", "never-sent")
    assert (shown.returncode, shown.stdout) == (1, "")
    assert shown.stderr.endswith("has no payload never-sent\n")


def test_dead_letters_of_a_healthy_stack_are_none(stack):
    shown = stack.run("dead-letters", "list", "--json")
    assert shown.returncode == 0, shown.stderr
    # The ROS document has messages typed into its topic that are no events.
    typed = {"hccm.ros.events"}
    assert {letter["original_topic"] for letter in json.loads(shown.stdout)} <= typed


def test_documents_health_curls(stack):
    urls = stack.urls()
    ingress = curl("-f", f"{urls['services']['ingress']['url']}/api/ingress/v1/version")
    assert set(json.loads(ingress)) == {"version", "commit"}
    if urls["engines"]["s3"]["product"] == "MinIO":
        curl("-f", f"{urls['engines']['s3']['address']}/minio/health/live")


def test_ros_documents_upload_curl_works_each_time(stack, samples):
    for _ in range(2):
        assert upload_as_the_ros_document(stack, samples) == {
            "request_id": "test-request-123",
            "upload": {"account_number": "12345", "org_id": "12345"},
        }


async def test_every_command_of_the_ros_document_runs_as_printed_on_the_local_stack(stack, samples, tmp_path):
    """With the stand-ins for Podman on PATH; in the document's order, for what is sent is looked for later."""
    (tmp_path / "samples").symlink_to(samples)
    (tmp_path / "cost-mgmt.tar.gz").symlink_to(samples / "cost-mgmt.tar.gz")
    services, engines = stack.urls()["services"], stack.urls()["engines"]
    ports = {3000: services["ingress"], 8080: services["kruize"], 8001: services["ros_api"]}
    names = {f"http://localhost:{port}": row["url"] for port, row in ports.items()}
    names |= {
        "http://localhost:9000": engines["s3"]["address"],
        "localhost:29092": engines["kafka"]["address"],
    }
    path = f"{stack.directory}/bin/as-printed:{os.environ['PATH']}"
    shell = Shell(tmp_path, environment(PATH=path), names=names)
    for item in DOCUMENT:
        here = item | item.get("local", {})
        # `open` is macOS's; some Linux machines have another of that name.
        if here.get("status") == 127 and shutil.which(here["run"].split()[0], path=path):
            continue
        await eventually(
            partial(asyncio.to_thread, shell.shows, here),
            within_seconds=1.0 if "POST" in item["run"] else 60.0,
            every_seconds=1.0,
            describe=item["run"],
        )


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
async def test_every_shell_block_of_a_page_for_newcomers_runs_as_printed(stack, tmp_path, page):
    """On ports that are not the default ones: a page asks `headrace urls` for addresses."""
    path = f"{stack.directory}/bin:{Path(sys.executable).parent}:{os.environ['PATH']}"
    shell = Shell(tmp_path, environment(PATH=path, HEADRACE_DIRECTORY=str(stack.directory)))
    blocks = SHELL_BLOCK.findall(page.read_text(encoding="utf-8"))
    assert blocks

    def succeeds(block):
        # Each command of it.
        status, said = shell.run(f"(set -e\n{block})")
        assert status == 0, f"{block}\n{said[-2000:]}"
        return True

    for block in blocks:
        # A payload is known to the tracker a moment after its upload.
        await eventually(
            partial(asyncio.to_thread, succeeds, block), within_seconds=120, every_seconds=1, describe=block
        )


def test_ols_documents_upload_is_answered_202_with_a_request_id(stack, samples):
    url = f"{stack.urls()['services']['ingress']['url']}/api/ingress/v1/upload"
    cluster = str(uuid.uuid4())
    answer = curl(
        *(
            "-w",
            "\n%{http_code}",
            "-A",
            f"openshift-lightspeed-operator/user-data-collection cluster/{cluster}",
        ),
        *("-H", "Authorization: Bearer any-token"),
        *("-F", f"file=@{samples / 'ols.tgz'};type=application/vnd.redhat.ols.periodic+tar"),
        url,
    )
    body, status = answer.rsplit("\n", 1)
    assert status == "202"
    assert re.fullmatch("[0-9a-f]{32}", json.loads(body)["request_id"])


def test_ingress_finds_its_tracker_on_moved_ports(stack, samples):
    request_id = str(uuid.uuid4())
    sent = stack.run("send", samples / "ols.tgz", "--org", "12345", "--request-id", request_id, "--follow")
    assert request_id in sent.stdout
    ingress = stack.urls()["services"]["ingress"]["url"]
    answer = curl(
        "-H", f"x-rh-identity: {IDENTITY}", f"{ingress}/api/ingress/v1/track/{request_id}?verbosity=2"
    )
    assert {row["service"] for row in json.loads(answer)["data"]} >= {"ingress"}


def test_service_of_its_own_process_is_strict_and_uses_engines_given_by_url(stack, samples, tmp_path):
    engines = {f"HEADRACE_{name.upper()}": row["url"] for name, row in stack.urls()["engines"].items()}
    made = headrace("init", "ingress", "archiver", **engines)
    assert made.returncode == 0, made.stderr
    assert "buckets: insights-archives, insights-upload-perma" in made.stdout
    assert "databases: archiver" in made.stdout

    port = stack.port_base + 50
    ports = {"INGRESS_WEBPORT": str(port), "HEADRACE_ADMIN_PORT": str(port + 1)}
    with spawned(("serve", "ingress"), tmp_path / "serve.log", **engines, **ports) as served:
        served.wait_until_said('"event":"service_started"')
        url = f"http://127.0.0.1:{port}/api/ingress/v1/upload"
        file = f"file=@{samples / 'cost-mgmt.tar.gz'}"
        refused = curl("-H", f"x-rh-identity: {IDENTITY}", "-F", file, url)
        code, _ = served.stop()
    assert refused == "Bad Request: x-rh-identity header is missing type\n"
    assert code == 0, served.said()


def test_interrupt_while_starting_leaves_nothing(tmp_path):
    with starting(tmp_path / "stack", "--s3", "seaweedfs") as stack:
        stack.wait_until_said(" is ready after ")
        children = stack.children()
        machine = Calibration()
        code, seconds = stack.stop(signal.SIGINT)
    assert (code, seconds < machine.wall(STOP_SECONDS)) == (0, True), (
        f"{code} after {seconds} s:\n{stack.said()}"
    )
    assert "\nready after " not in stack.said()
    assert [child for child in children if child.is_running()] == []


def test_a_stack_in_the_background_is_ready_when_up_returns_and_gone_when_down_does(tmp_path):
    directory = {"HEADRACE_DIRECTORY": str(tmp_path / "stack")}
    # As `podman-compose up -d`, `logs` and `down` say it.
    try:
        up = headrace("up", "-d", "--port-base", EnginePorts.random().kafka, **directory)
        assert up.returncode == 0, up.stderr
        assert "ingress" in headrace("status", **directory).stdout
        said = headrace("logs", "rosocp-processor", **directory)
        assert "service_started" in said.stdout, said.stderr
    finally:
        down = headrace("down", **directory)
    assert (down.returncode, down.stderr) == (0, "")
    assert headrace("status", **directory).returncode == 1
    assert headrace("down", **directory).stdout.startswith("no stack is running in ")


def test_nothing_running_is_not_well(tmp_path):
    for command in ("status", "urls"):
        shown = headrace(command, "--directory", tmp_path)
        assert (shown.returncode, shown.stdout) == (1, "")
        assert shown.stderr == f"headrace: no stack is running in {tmp_path}: start one with `headrace up`\n"


def upload_as_the_ros_document(stack, samples):
    url = f"{stack.urls()['services']['ingress']['url']}/api/ingress/v1/upload"
    headers = ("-H", f"x-rh-identity: {IDENTITY}", "-H", "x-rh-request-id: test-request-123")
    return json.loads(curl("-X", "POST", "-F", f"file=@{samples / 'cost-mgmt.tar.gz'}", *headers, url))


def curl(*arguments: str) -> str:
    program = shutil.which("curl")
    if program is None:
        pytest.skip("there is no curl on PATH")
    done = subprocess.run(
        [program, "-sS", "--max-time", "20", *arguments],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
