import json
from collections.abc import AsyncIterator

import pytest

from headrace.contracts.announcement import Announcement
from headrace.contracts.identity import ANONYMOUS, Identity, System
from headrace.runtime.errors import Rejected
from headrace_services.archiver import clusters
from tests.unit.archives.tars import tar_gz

CLUSTER = "11111111-2222-3333-4444-555555555555"
OTHER = "99999999-8888-7777-6666-555555555555"


async def inside(content: bytes, service: str = "") -> str:
    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(content), 100):
            yield content[start : start + 100]

    return await clusters.inside(chunks(), service)


def announcement(**fields: str) -> Announcement:
    return Announcement.model_validate({"request_id": "r", "url": "http://s3/b/r", **fields})


def of_cluster(cluster_id: str) -> Identity:
    return Identity(system=System(cluster_id=cluster_id))


def test_the_message_comes_before_the_identity() -> None:
    assert clusters.announced(announcement(cluster_name=CLUSTER), of_cluster(OTHER)) == CLUSTER
    assert clusters.announced(announcement(), of_cluster(OTHER)) == OTHER
    assert clusters.announced(announcement(), ANONYMOUS) is None


@pytest.mark.parametrize(
    "cluster_id",
    ["None", "null", "../../etc", "a/b", ".", "..", "", "x", "a b", "é" * 8, "a" * 129, "-rf", "a\n"],
)
def test_what_cannot_be_a_folder_is_no_cluster_id(cluster_id: str) -> None:
    with pytest.raises(Rejected, match="from the identity is invalid"):
        clusters.checked(cluster_id, "the identity")


@pytest.mark.parametrize(
    "members",
    [
        {"config/id": f"{CLUSTER}\n".encode()},
        {"./config/id": f"  {CLUSTER}".encode()},
        {"data.csv": b"x", "manifest.json": json.dumps({"cluster_id": CLUSTER}).encode()},
        {"./manifest.json": json.dumps({"uuid": "u", "cluster_id": CLUSTER}).encode()},
        {f"{CLUSTER}/events.json": b"[]"},
        {"manifest.json": b"{}", f"{CLUSTER}/events.json": b"[]"},
        {"manifest.json": b"no json", "config/id": CLUSTER.encode()},
    ],
)
async def test_an_archive_names_its_cluster_in_each_documented_place(members: dict[str, bytes]) -> None:
    assert await inside(tar_gz(members)) == CLUSTER


@pytest.mark.parametrize(
    "members",
    [
        {"feedback/1.json": b"{}", "transcripts/u/c/t.json": b"{}"},
        {"folder/events.json": b"[]"},
        {f"deep/{CLUSTER}/events.json": b"[]"},
        {f"{CLUSTER}/other.json": b"[]"},
        {"manifest.json": json.dumps({"cluster_id": 7}).encode()},
        {"sub/config/id": CLUSTER.encode()},
    ],
)
async def test_an_archive_that_names_none_is_rejected_with_all_that_was_looked_for(
    members: dict[str, bytes],
) -> None:
    with pytest.raises(
        Rejected, match=r"no cluster_name .* no system.cluster_id .* config/id.*manifest.json.*events"
    ):
        await inside(tar_gz(members))


async def test_a_bare_csv_is_rejected_as_unreadable_without_a_cluster_id() -> None:
    with pytest.raises(Rejected, match=r"cluster id not found: .* the payload cannot be read"):
        await inside(b"report_period_start,report_period_end\n2026-11-01,2026-11-30\n")


@pytest.mark.parametrize("content", [b"../../outside", b"None", b"", b"a" * 200])
async def test_a_cluster_id_in_the_archive_is_checked_too(content: bytes) -> None:
    with pytest.raises(Rejected, match="from config/id is invalid"):
        await inside(tar_gz({"config/id": content}))


async def test_reading_stops_at_the_cluster_id() -> None:
    content = tar_gz({"config/id": CLUSTER.encode(), "big": bytes(range(256)) * 40_000})
    asked = 0

    async def chunks() -> AsyncIterator[bytes]:
        nonlocal asked
        for start in range(0, len(content), 256):
            asked += 1
            yield content[start : start + 256]

    assert await clusters.inside(chunks()) == CLUSTER
    assert asked < len(content) / 256 / 2


async def test_every_file_of_an_assisted_installer_lies_below_its_clusters_id() -> None:
    first = {f"{CLUSTER}/events/cluster.json": b"{}", f"{OTHER}/events.json": b"[]"}
    assert await inside(tar_gz(first), "assisted-installer") == CLUSTER


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (tar_gz({"events.json": b"[]"}), "outside the clusters' directories"),
        (tar_gz({"None/events.json": b"[]"}), "is invalid"),
        (tar_gz({}), "the archive is empty"),
        (b"", "the archive is empty"),
        (b"x" * 1000, "not gzip"),
    ],
    ids=["outside of any", "None", "empty archive", "no bytes", "no gzip"],
)
async def test_an_assisted_installers_archive_without_a_cluster_says_so(content: bytes, reason: str) -> None:
    with pytest.raises(Rejected, match=reason):
        await inside(content, "assisted-installer")
