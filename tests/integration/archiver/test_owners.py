"""A cluster's folder holds its owner's archives only, whatever an archive, an identity or a message says."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from headrace.contracts.identity import Identity, System, encode_identity
from headrace.database.owners import owned_clusters
from headrace.runtime import metrics
from headrace.runtime.errors import Rejected
from headrace_services.archiver.store import ArchiveTable
from headrace_services.archiver.templates import KeyTemplate
from tests.integration.archiver.conftest import CLUSTER, KEY, Bench
from tests.owners import moved
from tests.unit.archives.tars import tar_gz

FOREIGN = "belongs to another organisation"


def sent_by(org_id: str, cluster_id: str = "") -> dict[str, Any]:
    """The fields of an announcement: a cluster's where it names one, else a user's."""
    system = System(cluster_id=cluster_id) if cluster_id else None
    identity = Identity(org_id=org_id, type="System" if system else "User", system=system)
    return {"org_id": org_id, "b64_identity": encode_identity(identity) if org_id else ""}


def refused() -> float:
    labels = {"service": "archiver"}
    return metrics.REGISTRY.get_sample_value("headrace_foreign_clusters_total", labels) or 0.0


@pytest.mark.parametrize(
    ("service", "content", "cluster_id"),
    [
        ("ols", b"x", CLUSTER),
        ("ols", b"x", CLUSTER.upper()),
        ("ols", b"x", CLUSTER.replace("-", "")),
        ("openshift", tar_gz({"config/id": CLUSTER.encode()}), ""),
        ("openshift", tar_gz({"config/id": b" " + CLUSTER.upper().encode() + b"\n"}), ""),
        ("hccm", tar_gz({"manifest.json": b'{"cluster_id": "%s"}' % CLUSTER.encode()}), ""),
        ("assisted-installer", tar_gz({f"{CLUSTER}/events.json": b"[]"}), ""),
    ],
)
async def test_another_organisations_archive_does_not_land_in_the_clusters_folder(
    bench: Bench, service: str, content: bytes, cluster_id: str
) -> None:
    await bench.handle(await bench.upload("r1", b"the owner's"))
    counted = refused()
    series = await bench.database.fetch("select * from series")
    message = await bench.upload("r2", content, service=service, **sent_by("2002", cluster_id))
    with pytest.raises(Rejected, match=FOREIGN) as caught:
        await bench.handle(message)
    assert "000001" not in str(caught.value)
    assert await bench.archived() == {KEY: b"the owner's"}
    assert [synced.request_id for synced in bench.synced] == ["r1"]
    assert await bench.table.of_request("r2") == []
    # Else a stranger could push the names of the owner's archives into the future.
    assert await bench.database.fetch("select * from series") == series
    assert refused() - counted == 1
    (owned,) = await owned_clusters(bench.database)
    assert (owned.cluster_id, owned.org_id, owned.refused) == (CLUSTER, "000001", ["2002"])


@pytest.mark.parametrize("org_id", ["1", "01", "1001", "000001 ", "00001", ""])
async def test_organisations_are_compared_as_exact_text(bench: Bench, org_id: str) -> None:
    await bench.handle(await bench.upload("r1", b"the owner's"))
    message = await bench.upload("r2", tar_gz({"config/id": CLUSTER.encode()}), service="openshift",
                                 **sent_by(org_id))  # fmt: skip
    with pytest.raises(Rejected):
        await bench.handle(message)
    assert await bench.archived() == {KEY: b"the owner's"}


async def test_who_names_no_organisation_owns_nothing(bench: Bench) -> None:
    content = tar_gz({"config/id": CLUSTER.encode()})
    await bench.handle(await bench.upload("r1", content, service="openshift", **sent_by("")))
    assert await owned_clusters(bench.database) == []
    await bench.handle(await bench.upload("r2", b"the owner's"))
    assert [owned.org_id for owned in await owned_clusters(bench.database)] == ["000001"]
    with pytest.raises(Rejected, match=FOREIGN):
        await bench.handle(await bench.upload("r3", content, service="openshift", **sent_by("")))
    assert len(await bench.archived()) == 2


async def test_of_uploads_of_two_organisations_at_once_one_organisations_are_archived(
    bench: Bench,
) -> None:
    for number in range(20):
        cluster = f"11111111-2222-3333-4444-{number:012}"
        messages = [
            await bench.upload(f"r{number}-{n}", f"{org_id}".encode(), **sent_by(org_id, cluster))
            for n, org_id in enumerate(["1001", "2002"] * 3)
        ]
        if number % 2:
            messages.reverse()
        ended = await asyncio.gather(*(bench.handle(message) for message in messages), return_exceptions=True)
        assert sum(isinstance(end, Rejected) for end in ended) == 3
        (owned,) = await owned_clusters(bench.database, cluster)
        archived = {key: value for key, value in (await bench.archived()).items() if cluster in key}
        assert set(archived.values()) == {owned.org_id.encode()}
        assert len(archived) == 3


async def test_a_rejected_upload_claims_no_cluster(bench: Bench) -> None:
    with pytest.raises(Rejected, match="missing in the archiver's table"):
        await bench.handle(await bench.upload("r1", service="advisor", **sent_by("2002", CLUSTER)))
    with pytest.raises(Rejected, match="the upload is empty"):
        await bench.handle(await bench.upload("r2", b"", size=0, **sent_by("2002", CLUSTER)))
    long = bench.with_target(template=KeyTemplate.parse("$cluster_id/" + "x" * 1100))
    with pytest.raises(Rejected, match="key would have"):
        await bench.handle(await bench.upload("r3", **sent_by("2002", CLUSTER)), long)
    await bench.handle(await bench.upload("r4", b"the owner's"))
    assert [owned.org_id for owned in await owned_clusters(bench.database)] == ["000001"]


async def test_a_cluster_moved_by_an_operator_takes_the_new_owners_archives_only(bench: Bench) -> None:
    first = await bench.upload("r1", b"before")
    await bench.handle(first)
    assert await moved(bench.database, CLUSTER, "2002") == "000001"
    await bench.handle(await bench.upload("r2", b"after", **sent_by("2002", CLUSTER)))
    with pytest.raises(Rejected, match=FOREIGN):
        await bench.handle(await bench.upload("r3", b"late"))
    # A message that comes again finds what it had done.
    await bench.handle(first)
    assert sorted((await bench.archived()).values()) == [b"after", b"before"]
    assert {archive.org_id for archive in await bench.table.of_request("r1")} == {"000001"}


async def test_where_clusters_follow_their_last_organisation_everyone_archives(bench: Bench) -> None:
    follow = replace(bench.archiver, table=ArchiveTable(bench.database, follow=True))
    for number, org_id in enumerate(["1001", "2002", "1001"]):
        await bench.handle(await bench.upload(f"r{number}", **sent_by(org_id, CLUSTER)), follow)
    assert len(await bench.archived()) == 3
    assert [owned.org_id for owned in await owned_clusters(bench.database)] == ["1001"]
