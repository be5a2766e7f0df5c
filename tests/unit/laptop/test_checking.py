"""What `headrace check` says of archives, without any engine."""

import io
import json
import re
import tarfile
from pathlib import Path

import pytest

from headrace.laptop.checking import check, findings
from headrace.laptop.uploads import as_organisation
from headrace.samples import KINDS, SampleOptions
from headrace.service.trial import Trial
from headrace_services.registry import SERVICES

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "upload-contract.md").read_text(encoding="utf-8")
CLUSTER = SampleOptions().cluster()
ORGANISATION = "12345"
HCCM = KINDS["cost"].content_type
INSIGHTS = KINDS["insights"].content_type
MANIFEST = {
    "uuid": "5eed0000-0000-4000-8000-000000000003",
    "cluster_id": CLUSTER,
    "date": "2026-01-01T00:00:00Z",
    "files": ["usage.csv"],
    "resource_optimization_files": ["ros.csv"],
}


def packed(**files):
    found = io.BytesIO()
    with tarfile.open(fileobj=found, mode="w:gz") as archive:
        for name, content in files.items():
            header = tarfile.TarInfo(name.replace("__", "/"))
            header.size = len(content)
            archive.addfile(header, io.BytesIO(content))
    return found.getvalue()


async def ends(path, content_type, *, strict=False, headers=None, **terms):
    """Of each service: how it ends, and the line that decides."""
    trial = Trial(path, content_type, headers or as_organisation(ORGANISATION, **terms), lenient=not strict)
    return {
        found.service: (found.outcome, found.line, found.text) for found in await findings(SERVICES, trial)
    }


async def of_bytes(tmp_path, content, content_type, **terms):
    path = tmp_path / "upload"
    path.write_bytes(content)
    return await ends(path, content_type, **terms)


@pytest.mark.parametrize(
    ("kind", "services"),
    [
        ("ols", {"archiver"}),
        ("insights", {"archiver", "rules-engine"}),
        ("cost", {"archiver", "koku", "ros-processor"}),
        ("assisted", {"archiver"}),
    ],
)
async def test_every_sample_is_taken_by_each_service_that_it_is_for(tmp_path, kind, services):
    sample = KINDS[kind].generate(tmp_path, SampleOptions())[0]
    found = await ends(sample, KINDS[kind].content_type, cluster_id=CLUSTER, strict=True)
    assert {name: end[0] for name, end in found.items()} == {"ingress": "accepted"} | dict.fromkeys(
        services, "processed"
    ), found
    assert CLUSTER in found["archiver"][2]


async def test_what_services_say_is_what_they_would_report(tmp_path):
    cost = KINDS["cost"].generate(tmp_path, SampleOptions())
    found = await ends(cost[0], HCCM)
    assert re.search(
        rf"^archived to insights-archives/archives/compressed/../{CLUSTER}/", found["archiver"][2]
    )
    assert re.search(rf"ROS files? of cluster {CLUSTER} \(source 0\) announced", found["koku"][2])
    assert re.search(r"\d+ rows of [1-9]\d* container workloads", found["ros-processor"][2])
    (insights,) = KINDS["insights"].generate(tmp_path, SampleOptions())
    found = await ends(insights, INSIGHTS)
    assert re.search(
        rf"\d+ rule hits of cluster {CLUSTER} sent to ccx\.ocp\.results", found["rules-engine"][2]
    )


async def test_a_bare_csv_is_usage_itself(tmp_path):
    _, csv = KINDS["cost"].generate(tmp_path, SampleOptions())[:2]
    found = await ends(csv, HCCM, cluster_id=CLUSTER)
    assert (found["koku"][0], found["ros-processor"][0]) == ("processed", "processed"), found


@pytest.mark.parametrize(
    ("content", "content_type", "terms", "service", "line", "reason"),
    [
        (
            b"x",
            "text/plain",
            {"strict": True},
            "ingress",
            "ingress-415",
            "Unsupported content type 'text/plain'",
        ),
        (b"x", "application/vnd.redhat.other.x", {}, "ingress", "ingress-415", "Unsupported service 'other'"),
        (b"x", INSIGHTS, {"headers": {"a": "b"}}, "ingress", "ingress-400", "missing x-rh-identity"),
        (
            b"x",
            INSIGHTS,
            {"headers": {"Authorization": "Bearer x"}, "strict": True},
            "ingress",
            "ingress-401",
            "Could not authenticate",
        ),
        (b"no archive", INSIGHTS, {}, "archiver", "archiver-cluster", "the payload cannot be read"),
        (b"", INSIGHTS, {}, "archiver", "archiver-cluster", "the upload is empty"),
        (
            packed(a=b"x"),
            INSIGHTS,
            {"strict": True},
            "archiver",
            "archiver-cluster",
            "in the archive no config/id",
        ),
        (packed(a=b"x"), INSIGHTS, {}, "rules-engine", "rules-archive", "cluster id not found"),
        (packed(a=b"x"), HCCM, {}, "koku", "koku-manifest", "the archive has no manifest.json at its top"),
        (
            packed(**{"manifest.json": json.dumps(MANIFEST | {"cluster_id": "mine"}).encode()}),
            HCCM,
            {},
            "koku",
            "koku-manifest",
            "cluster_id: Value error, 'mine' is not a UUID",
        ),
        (
            packed(**{"manifest.json": json.dumps(MANIFEST).encode(), "ros.csv": b"x" * 1000})[:-30],
            HCCM,
            {},
            "koku",
            "koku-files",
            "",
        ),
    ],
    # An archive's bytes contain the time, and every worker has to find the same names.
    ids=[
        "another content type", "another service", "no sender", "an unknown token", "no archive", "nothing",
        "no cluster", "no cluster for the rules", "no manifest", "a cluster that is no UUID", "cut off",
    ],
)  # fmt: skip
async def test_what_is_wrong_is_named_with_the_line_that_decides(
    tmp_path, content, content_type, terms, service, line, reason
):
    found = await of_bytes(tmp_path, content, content_type, **terms)
    outcome, decides, text = found[service]
    assert (outcome, decides) == ("refused" if service == "ingress" else "rejected", line), found
    assert reason in text
    assert service != "ingress" or set(found) == {"ingress"}


async def test_usage_that_cannot_be_read_is_rejected(tmp_path):
    header = (
        b"report_period_start,report_period_end,interval_start,interval_end,container_name,pod,owner_name,owner_kind,"
        b"workload,workload_type,namespace,image_name,node,resource_id,cpu_request_container_avg\n"
    )
    content = packed(**{"manifest.json": json.dumps(MANIFEST).encode(), "ros.csv": header + b"a,b\n" * 50})
    found = await of_bytes(tmp_path, content, HCCM)
    assert found["koku"][0] == "processed", found
    assert found["ros-processor"][:2] == ("rejected", "ros-csv"), found
    assert "ros.csv: " in found["ros-processor"][2]


@pytest.mark.usefixtures("restored_logs")
async def test_an_upload_that_nobody_takes_says_so(tmp_path, capsys):
    path = tmp_path / "upload"
    path.write_bytes(b"anything")
    await check(
        SERVICES, path, type_="application/vnd.redhat.compliance.results", org=None, cluster=None, strict=False,
        as_json=False,
    )  # fmt: skip
    assert "No service behind ingress takes such an upload." in capsys.readouterr().out


@pytest.mark.usefixtures("restored_logs")
async def test_a_rejected_archive_ends_with_1(tmp_path, capsys):
    path = tmp_path / "upload"
    path.write_bytes(b"no archive")
    with pytest.raises(SystemExit) as ended:
        await check(SERVICES, path, type_="insights", org=None, cluster=None, strict=False, as_json=True)
    shown = capsys.readouterr()
    assert ended.value.code == 1
    assert [row["outcome"] for row in json.loads(shown.out)] == ["accepted", "rejected", "rejected"]
    assert shown.err == "headrace: not taken by archiver, rules-engine\n"


def test_the_page_has_every_line_and_no_other():
    services = ROOT / "services" / "headrace_services"
    prefixes = "ingress|archiver|rules|koku|ros"
    used = set()
    for path in services.glob("*/check.py"):
        used |= set(re.findall(rf'"((?:{prefixes})-[a-z]+)"', path.read_text(encoding="utf-8")))
    used -= {"rules-engine"}
    shown = re.findall(r'<a id="([a-z0-9-]+)"></a>`([a-z0-9-]+)`', PAGE)
    assert all(anchor == name for anchor, name in shown)
    refusals = {name for name, _ in shown if re.fullmatch(r"ingress-\d+", name)}
    assert {name for name, _ in shown} - refusals == used
    assert refusals == {f"ingress-{status}" for status in (400, 401, 403, 413, 415)}
