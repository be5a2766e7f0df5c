import asyncio
import gzip
import json
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
import pytest
from yarl import URL

from headrace.archives.files import file_chunks
from headrace.archives.reader import read_members
from headrace.contracts.identity import decode_identity
from headrace.contracts.topics import ROS_EVENTS, UPLOAD_VALIDATION
from headrace.objects.endpoint import S3Endpoint
from headrace.objects.store import PART_BYTES, ObjectStore
from headrace.runtime.errors import Rejected, Retryable
from headrace.samples import KINDS, SampleOptions
from headrace_services.koku.handlers import Buckets
from headrace_services.koku.manifest import MAX_BYTES
from headrace_services.koku.shipper import Shipper, tag_of
from tests.integration.koku.conftest import NAMESPACE_HEADER, ORG, ROS_HEADER, Bench, manifest
from tests.unit.archives.tars import tar_gz

ROS = ROS_HEADER + b"\na,b,c,d,1,2\n"


def archive(bench: Bench, members: dict[str, bytes], **fields: Any) -> bytes:
    """The manifest first, every member a ROS file unless told otherwise."""
    fields = {"resource_optimization_files": list(members)} | fields
    return tar_gz({"manifest.json": manifest(bench.cluster, **fields), **members})


async def test_the_sample_goes_byte_for_byte_to_upstreams_keys_and_is_announced(
    bench: Bench, tmp_path: Path
) -> None:
    path, _ = KINDS["cost"].generate(tmp_path, SampleOptions(cluster_id=bench.cluster))
    members = {
        member.name: b"".join([data async for data in member])
        async for member in read_members(file_chunks(path))
    }
    listed = json.loads(members["manifest.json"])
    source = bench.peer.add(bench.cluster, ORG, name="my cluster")
    message = await bench.upload(path.read_bytes())
    note = await bench.handle(message)

    folder = bench.folder(source)
    ros = listed["resource_optimization_files"]
    assert len(ros) == 2
    assert await bench.objects() == {f"{folder}/{name}": members[name] for name in ros}
    assert await bench.objects(bench.cost) == {f"{folder}/{name}": members[name] for name in listed["files"]}
    (event,) = bench.events
    assert event.request_id == message.request_id
    assert event.b64_identity == message.b64_identity
    assert event.metadata.model_dump() == {
        "account": "0001",
        "org_id": ORG,
        "source_id": source["id"],
        "provider_uuid": source["uid"],
        "cluster_uuid": bench.cluster,
        "operator_version": listed["version"],
        "cluster_alias": "my cluster",
    }
    assert event.object_keys == [f"{folder}/{name}" for name in ros]
    async with aiohttp.ClientSession(auto_decompress=False) as session:
        for url, name in zip(event.files, ros, strict=True):
            assert "X-Amz-Expires=172800" in url
            async with session.get(URL(url, encoded=True)) as response:
                assert (response.status, await response.read()) == (200, members[name])
    assert bench.order == [ROS_EVENTS.name, UPLOAD_VALIDATION.name]
    assert bench.verdicts == ["success"]
    files = len(listed["files"])
    kept = f"{files} cost file{'s' if files > 1 else ''} kept"
    assert note == f"2 ROS files of cluster {bench.cluster} (source {source['id']}) announced; {kept}"
    stored = await bench.store.head(bench.ros, event.object_keys[0])
    assert stored
    assert stored.metadata["manifestid"] == listed["uuid"]


@pytest.mark.parametrize("position", [0, 1, 2], ids=["first", "between", "last"])
async def test_the_manifest_may_stand_anywhere(bench: Bench, position: int) -> None:
    source = bench.peer.add(bench.cluster, ORG)
    names = ["b.csv", "a.csv"]
    files = [("a.csv", ROS), ("b.csv", ROS + b"b")]
    files.insert(position, ("manifest.json", manifest(bench.cluster, resource_optimization_files=names)))
    await bench.handle(await bench.upload(tar_gz(dict(files))))
    folder = bench.folder(source)
    assert await bench.objects() == {f"{folder}/a.csv": ROS, f"{folder}/b.csv": ROS + b"b"}
    # In the manifest's order, whatever the archive's.
    assert bench.events[0].object_keys == [f"{folder}/{name}" for name in names]


async def test_a_file_of_many_parts_is_whole(bench: Bench) -> None:
    source = bench.peer.add(bench.cluster, ORG)
    rows = b"".join(b"%d,%d\n" % (number, number * 7919) for number in range(900_000))
    big = ROS_HEADER + b"\n" + rows
    assert len(big) > 2 * PART_BYTES
    await bench.handle(await bench.upload(archive(bench, {"big.csv": big})))
    assert await bench.objects() == {f"{bench.folder(source)}/big.csv": big}
    assert await bench.store.unfinished_multiparts(bench.ros) == []


async def test_the_same_announcement_again_leaves_objects_and_event_as_they_were(bench: Bench) -> None:
    bench.peer.add(bench.cluster, ORG)
    message = await bench.upload(archive(bench, {"a.csv": ROS, "b.csv": ROS + b"b"}))
    first = await bench.handle(message)
    objects = await bench.objects()
    stored = [await bench.store.head(bench.ros, key) for key in objects]
    assert await bench.handle(message) == first
    assert await bench.handle(message) == first
    assert await bench.objects() == objects
    assert [await bench.store.head(bench.ros, key) for key in objects] == stored
    told = [event.model_copy(update={"files": []}) for event in bench.events]
    assert told == [told[0]] * 3
    assert bench.verdicts == ["success"] * 3


async def test_archives_of_one_manifest_uuid_and_day_keep_each_others_files(bench: Bench) -> None:
    source = bench.peer.add(bench.cluster, ORG)
    split = [await bench.upload(archive(bench, {f"a.{n}.csv": ROS + b"%d" % n})) for n in range(3)]
    await asyncio.gather(*map(bench.handle, split))
    folder = bench.folder(source)
    assert await bench.objects() == {f"{folder}/a.{n}.csv": ROS + b"%d" % n for n in range(3)}


async def test_a_name_used_again_on_the_same_day_leaves_the_earlier_file_as_it_was_told_of(
    bench: Bench,
) -> None:
    source = bench.peer.add(bench.cluster, ORG)
    morning = await bench.upload(archive(bench, {"a.0.csv": ROS}))
    evening = await bench.upload(archive(bench, {"a.0.csv": ROS + b"more"}))
    resent = await bench.upload(archive(bench, {"a.0.csv": ROS}))
    for message in (morning, evening, resent, evening, morning):
        await bench.handle(message)
    plain = f"{bench.folder(source)}/a.0.csv"
    other = f"{bench.folder(source)}/a.0~{tag_of(evening.etag or '')}.csv"
    assert await bench.objects() == {plain: ROS, other: ROS + b"more"}
    keys = [event.object_keys for event in bench.events]
    assert keys == [[plain], [other], [plain], [other], [plain]]


async def test_uploads_that_race_for_a_name_both_stay(bench: Bench) -> None:
    bench.peer.add(bench.cluster, ORG)
    bodies = [ROS + b"%d" % number for number in range(6)]
    messages = [await bench.upload(archive(bench, {"a.csv": body})) for body in bodies]
    await asyncio.gather(*map(bench.handle, messages))
    assert sorted((await bench.objects()).values()) == bodies
    told = {event.request_id: event.object_keys[0] for event in bench.events if event.object_keys}
    objects = await bench.objects()
    assert [objects[told[message.request_id]] for message in messages] == bodies


async def test_names_that_are_listed_and_absent_are_skipped_and_named(bench: Bench) -> None:
    source = bench.peer.add(bench.cluster, ORG)
    body = archive(
        bench,
        {"a.csv": ROS, "not-listed.csv": b"x", "deep/b.csv": ROS},
        resource_optimization_files=["gone.csv", "a.csv", "b.csv", "a.csv"],
        files=["lost.csv"],
    )
    note = await bench.handle(await bench.upload(body))
    assert await bench.objects() == {f"{bench.folder(source)}/a.csv": ROS}
    assert await bench.objects(bench.cost) == {}
    assert note.endswith("announced; listed but not in the archive: gone.csv, b.csv, lost.csv")
    assert bench.verdicts == ["success"]


async def test_what_macos_adds_is_ignored_and_its_ros_files_are_found_among_the_others(bench: Bench) -> None:
    source = bench.peer.add(bench.cluster, ORG)
    files = {
        "._manifest.json": b"\0\5\x16\7",
        "manifest.json": manifest(
            bench.cluster,
            files=["._ros.csv", "ros.csv", "pods.csv", "ns.csv"],
            resource_optimization_files=None,
        ),
        "._ros.csv": b"\0\5\x16\7" + ROS,
        "ros.csv": ROS,
        "pods.csv": b"report_period_start,pod\n1,2\n",
        "ns.csv": NAMESPACE_HEADER + b"\r\n1\r\n",
    }
    note = await bench.handle(await bench.upload(tar_gz(files)))
    folder = bench.folder(source)
    assert await bench.objects() == {f"{folder}/{name}": files[name] for name in ("ros.csv", "ns.csv")}
    assert list(await bench.objects(bench.cost)) == [f"{folder}/pods.csv"]
    assert bench.events[0].object_keys == [f"{folder}/ros.csv", f"{folder}/ns.csv"]
    assert note.startswith("2 ROS files")
    assert "not in the archive" not in note


async def test_an_archive_without_ros_files_ends_with_that_reason_and_no_event(bench: Bench) -> None:
    bench.peer.add(bench.cluster, ORG)
    body = archive(bench, {"pods.csv": b"a,b\n"}, resource_optimization_files=[], files=["pods.csv"])
    note = await bench.handle(await bench.upload(body))
    assert (
        note
        == f"no ROS file of cluster {bench.cluster} to announce: the manifest lists none; 1 cost file kept"
    )
    assert (bench.events, bench.verdicts) == ([], ["success"])


async def test_cost_files_are_not_kept_without_a_bucket_for_them(bench: Bench) -> None:
    bench.peer.add(bench.cluster, ORG)
    body = archive(bench, {"pods.csv": b"a"}, resource_optimization_files=[], files=["pods.csv"])
    note = await bench.handle(await bench.upload(body), buckets=Buckets(bench.ros, ""))
    assert "kept" not in note
    assert "not in the archive" not in note
    assert await bench.objects(bench.cost) == {}


async def test_a_silent_koku_stores_and_tells_nobody(bench: Bench) -> None:
    bench.peer.add(bench.cluster, ORG)
    note = await bench.handle(await bench.upload(archive(bench, {"a.csv": ROS})), silent=True)
    assert len(await bench.objects()) == 1
    assert (bench.events, bench.verdicts) == ([], ["success"])
    assert "DISABLE_ROS_MSG" in note


async def test_nothing_is_registered_for_an_archive_that_breaks_off(bench: Bench) -> None:
    whole = archive(bench, {"a.csv": ROS, "b.csv": bytes(range(256)) * 2000})
    with pytest.raises(Rejected):
        await bench.handle(await bench.upload(whole[:-200]), sources=bench.sources(register=True))
    assert bench.verdicts == ["failure"]
    assert (bench.peer.of(ORG), await bench.objects()) == ([], {})


async def test_very_many_files_are_told_in_messages_that_fit(bench: Bench) -> None:
    bench.peer.add(bench.cluster, ORG)
    files = {f"{number:04}-{'n' * 200}.csv": b"%d" % number for number in range(260)}
    await bench.handle(await bench.upload(archive(bench, files)))
    assert [len(event.files) for event in bench.events] == [250, 10]
    told = [key.rpartition("/")[2] for event in bench.events for key in event.object_keys or ()]
    assert told == list(files)
    # The receiver takes them as one: in their order, and asking for recommendations after the last.
    assert [event.more_follow for event in bench.events] == [True, None]
    assert bench.keys == [bench.cluster] * 2


async def test_an_identity_that_did_not_come_is_made_from_the_organisation(bench: Bench) -> None:
    bench.peer.add(bench.cluster, ORG)
    await bench.handle(await bench.upload(archive(bench, {"a.csv": ROS}), b64_identity="", account=""))
    (event,) = bench.events
    assert decode_identity(event.b64_identity).org_id == ORG
    assert event.metadata.account == "no_account"


async def test_a_long_identity_is_passed_on(bench: Bench) -> None:
    bench.peer.add(bench.cluster, ORG)
    await bench.handle(await bench.upload(archive(bench, {"a.csv": ROS}), b64_identity="e" * 16_000))
    assert bench.events[0].b64_identity == "e" * 16_000


CLUSTER = "11111111-2222-3333-4444-555555555555"
GOOD = {"resource_optimization_files": ["a.csv"]}
HOSTILE = {
    "empty": (b"", "the upload is empty"),
    "text": (b"hello", r"neither a gzip-compressed tar nor a ROS CSV: it begins with 'hello'"),
    "one byte": (b"\x1f", "neither a gzip-compressed tar"),
    "other csv": (b"a,b\n1,2\n", "nor a ROS CSV"),
    "gzip of no tar": (gzip.compress(ROS * 20), "tar"),
    "truncated": (tar_gz({"manifest.json": manifest(CLUSTER, **GOOD), "a.csv": ROS})[:-20], "truncated"),
    "no manifest": (tar_gz({"a.csv": ROS}), "no manifest.json at its top"),
    "deep manifest": (tar_gz({"x/manifest.json": manifest(CLUSTER)}), "no manifest.json at its top"),
    "manifest too big": (tar_gz({"manifest.json": b" " * (MAX_BYTES + 1)}), "the limit is 2097152"),
    "manifest no JSON": (tar_gz({"manifest.json": b"{"}), "manifest.json is not valid: content: Invalid JSON"),
    "no uuid": (tar_gz({"manifest.json": b'{"cluster_id":"x"}'}), "uuid: Field required"),
    "climbing member": (tar_gz({"../a.csv": ROS, "manifest.json": manifest(CLUSTER)}), r"has '\.\.' in its name"),
    "absolute member": (tar_gz({"/a.csv": ROS, "manifest.json": manifest(CLUSTER)}), "absolute name"),
    "bomb": (tar_gz({"manifest.json": manifest(CLUSTER, **GOOD), "a.csv": bytes(40 << 20)}), "200 times its size"),
}  # fmt: skip


async def test_what_cannot_be_read_is_a_failure_with_its_reason(bench: Bench) -> None:
    bench.peer.add(CLUSTER, ORG)
    for name, (body, reason) in HOSTILE.items():
        bench.told.sent.clear()
        with pytest.raises(Rejected, match=reason):
            await bench.handle(await bench.upload(body))
        assert (name, bench.verdicts) == (name, ["failure"])
    assert bench.events == []
    assert await bench.store.unfinished_multiparts(bench.ros) == []


NOWHERE: list[tuple[dict[str, Any], str]] = [
    ({"org_id": ""}, "no org_id"),
    ({"org_id": "../up"}, "cannot be used as a folder name"),
    ({"object_key": "nothing"}, "does not exist"),
    (
        {"bucket": None, "url": "http://169.254.169.254/a"},
        "neither Headrace's S3 nor listed in KOKU_ALLOWED_HOSTS",
    ),
]


async def test_an_announcement_that_leads_nowhere_is_a_failure_with_its_reason(bench: Bench) -> None:
    for fields, reason in NOWHERE:
        message = await bench.upload(archive(bench, {"a.csv": ROS}), **fields)
        with pytest.raises(Rejected, match=reason):
            await bench.handle(message)
    assert bench.verdicts == ["failure"] * len(NOWHERE)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("topic", [ROS_EVENTS.name, UPLOAD_VALIDATION.name])
async def test_a_redelivery_after_kafka_went_away_repeats_the_event_and_loses_none(
    bench: Bench, topic: str, when: str
) -> None:
    source = bench.peer.add(bench.cluster, ORG)
    message = await bench.upload(archive(bench, {"a.csv": ROS}))
    bench.told.cut = (topic, when)
    with pytest.raises(Retryable):
        await bench.handle(message)
    bench.told.cut = None
    await bench.handle(message)
    assert await bench.objects() == {f"{bench.folder(source)}/a.csv": ROS}
    assert {tuple(event.object_keys or ()) for event in bench.events} == {(f"{bench.folder(source)}/a.csv",)}
    assert set(bench.verdicts) == {"success"}


async def test_a_bucket_that_is_missing_holds_the_archive_and_a_mended_one_lets_it_go(
    bench: Bench, fresh: Any, s3_endpoints: dict[str, str]
) -> None:
    if "minio" not in s3_endpoints:
        pytest.skip("no MinIO here, and SeaweedFS makes a bucket for whoever may")
    bench.peer.add(bench.cluster, ORG)
    message = await bench.upload(archive(bench, {"a.csv": ROS}))
    store = await ObjectStore.open(S3Endpoint.parse(s3_endpoints["minio"]))
    try:
        bucket, cost = fresh("later"), fresh("cost")
        await store.ensure_bucket(cost)
        changes = {"shipper": Shipper(store), "buckets": Buckets(bucket, cost)}
        with pytest.raises(Retryable, match="NoSuchBucket"):
            await bench.handle(message, **changes)
        assert bench.order == []
        await store.ensure_bucket(bucket)
        await bench.handle(message, **changes)
        shipped = [item.key async for item in store.list(bucket)]
        assert [key.rpartition("/")[2] for key in shipped] == ["a.csv"]
    finally:
        await store.close()


async def test_two_processes_that_store_one_file_at_once_end_in_one_object(bench: Bench) -> None:
    source = bench.peer.add(bench.cluster, ORG)
    message = await bench.upload(archive(bench, {"a.csv": ROS}))
    both = await asyncio.gather(
        *(bench.handle(message, shipper=Shipper(bench.store)) for _ in range(4)), return_exceptions=True
    )
    assert all(isinstance(one, str | Retryable) for one in both)
    await bench.handle(message)
    assert await bench.objects() == {f"{bench.folder(source)}/a.csv": ROS}


async def test_the_day_is_the_announcements_in_utc(bench: Bench) -> None:
    source = bench.peer.add(bench.cluster, ORG)
    for stamp in ("2026-08-02T01:30:00+02:00", "2026-08-01T10:00:00", "2026-08-01T00:00:00Z"):
        await bench.handle(await bench.upload(archive(bench, {f"{uuid4()}.csv": ROS}), timestamp=stamp))
    assert {key.rpartition("/")[0] for key in await bench.objects()} == {bench.folder(source)}
