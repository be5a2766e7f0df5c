import gzip
import io
import tarfile
from pathlib import Path
from uuid import uuid4

import pytest

from headrace.contracts.clusters import local_cluster_id
from headrace.contracts.identity import Identity, System, encode_identity
from headrace.runtime.errors import Rejected
from headrace.samples import KINDS, SampleOptions
from headrace_services.koku.shipper import tag_of
from tests.integration.koku.conftest import NAMESPACE_HEADER, ORG, ROS_HEADER, Bench

ROS = ROS_HEADER + b"\n1\n"


def cluster_identity(cluster_id: str) -> dict[str, str]:
    identity = Identity(org_id=ORG, type="System", system=System(cluster_id=cluster_id))
    return {"b64_identity": encode_identity(identity)}


async def test_the_sample_csv_takes_the_road_of_an_archive(bench: Bench, tmp_path: Path) -> None:
    path = KINDS["cost"].generate(tmp_path, SampleOptions())[-1]
    assert path.suffix == ".csv"
    source = bench.peer.add(bench.cluster, ORG, name="alias")
    for content_type in ("text/csv", "application/octet-stream", KINDS["cost"].content_type):
        message = await bench.upload(
            path.read_bytes(), content_type=content_type, **cluster_identity(bench.cluster)
        )
        note = await bench.handle(message)
    assert note == f"1 ROS file of cluster {bench.cluster} (source {source['id']}) announced"
    key = f"{bench.folder(source)}/ros-openshift-container-{tag_of(message.etag or '')}.0.csv"
    # Sent three times, there once.
    assert await bench.objects() == {key: path.read_bytes()}
    assert [event.object_keys for event in bench.events] == [[key]] * 3
    event = bench.events[0]
    assert event.metadata.cluster_uuid == bench.cluster
    assert "operator_version" not in event.to_json().decode()
    assert bench.verdicts == ["success"] * 3


async def test_a_namespace_csv_is_named_so(bench: Bench) -> None:
    bench.peer.add(bench.cluster, ORG)
    await bench.handle(
        await bench.upload(b"\xef\xbb\xbf" + NAMESPACE_HEADER + b"\r\n", **cluster_identity(bench.cluster))
    )
    (key,) = await bench.objects()
    assert "/ros-openshift-namespace-" in key


async def test_the_metadata_may_name_the_cluster(bench: Bench) -> None:
    bench.peer.add(bench.cluster, ORG)
    metadata = {"custom_metadata": {"cluster_id": bench.cluster}}
    await bench.handle(await bench.upload(ROS, metadata=metadata))
    assert bench.events[0].metadata.cluster_uuid == bench.cluster


async def test_nobodys_csv_is_refused_with_the_reason(bench: Bench) -> None:
    with pytest.raises(Rejected, match=r"no system\.cluster_id in the identity"):
        await bench.handle(await bench.upload(ROS))
    assert bench.verdicts == ["failure"]


async def test_a_cluster_id_that_is_no_uuid_is_refused_with_the_reason(bench: Bench) -> None:
    with pytest.raises(Rejected, match="'abc' is not a UUID"):
        await bench.handle(await bench.upload(ROS, **cluster_identity("abc")))


async def test_nobodys_csv_is_the_organisations_one_local_clusters_in_the_local_shape(bench: Bench) -> None:
    sources = bench.sources(register=True)
    for body in (ROS, ROS + b"2\n"):
        await bench.handle(await bench.upload(body), lenient=True, sources=sources)
    (source,) = bench.peer.of(ORG)
    assert source["source_ref"] == source["name"] == local_cluster_id(ORG, of="bare-csv")
    assert len(await bench.objects()) == 2


async def test_a_plain_tar_with_a_csv_in_it_is_refused_and_leaves_nothing(bench: Bench) -> None:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        # As the operator writes it: the columns that tell the kind are not the first.
        text = b"report_period_start," + ROS
        member = tarfile.TarInfo("ros.csv")
        member.size = len(text)
        archive.addfile(member, io.BytesIO(text))
    with pytest.raises(Rejected, match="neither a gzip-compressed tar nor a ROS CSV"):
        await bench.handle(
            await bench.upload(made.getvalue()), lenient=True, sources=bench.sources(register=True)
        )
    assert bench.verdicts == ["failure"]
    assert (bench.peer.of(ORG), await bench.objects(), bench.events) == ([], {}, [])


async def test_nothing_is_registered_for_a_csv_that_goes_on_as_something_else(bench: Bench) -> None:
    with pytest.raises(Rejected, match="bytes that are not text"):
        await bench.handle(
            await bench.upload(ROS + b"x" * 200_000 + b"\0"),
            lenient=True,
            sources=bench.sources(register=True),
        )
    assert bench.verdicts == ["failure"]
    assert (bench.peer.of(ORG), await bench.objects()) == ([], {})


@pytest.mark.row(13)
async def test_a_name_says_nothing_and_a_compressed_csv_is_no_archive(bench: Bench) -> None:
    request_id = f"{uuid4().hex}.csv"
    with pytest.raises(Rejected, match="tar"):
        await bench.handle(await bench.upload(gzip.compress(ROS * 30), request_id, content_type="text/csv"))
    assert bench.verdicts == ["failure"]
