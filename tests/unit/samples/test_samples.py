import hashlib
import json
import uuid
from datetime import UTC, datetime

import pytest

from headrace.archives import read_members
from headrace.runtime.errors import ConfigurationError
from headrace.samples import KINDS, SampleOptions
from tests.unit.archives.tars import stream

kinds = pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)


def digests(paths):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


async def members_of(path):
    """What our own reader makes of an archive, with the shipped limits."""
    return {m.name: await m.read(10**9) async for m in read_members(stream(path.read_bytes(), 65536))}


@kinds
def test_it_writes_the_files_it_names(kind, tmp_path):
    paths = kind.generate(tmp_path / "new", SampleOptions())
    assert [path.name for path in paths] == list(kind.file_names)
    assert sorted((tmp_path / "new").iterdir()) == sorted(paths)


@kinds
def test_equal_options_give_equal_bytes_and_another_seed_gives_others(kind, tmp_path):
    first = digests(kind.generate(tmp_path / "first", SampleOptions(seed=3)))
    again = digests(kind.generate(tmp_path / "again", SampleOptions(seed=3)))
    other = digests(kind.generate(tmp_path / "other", SampleOptions(seed=4)))
    assert first == again
    assert all(first[name] != other[name] for name in first)


@kinds
async def test_our_reader_takes_it(kind, tmp_path):
    members = await members_of(kind.generate(tmp_path, SampleOptions())[0])
    assert members
    for name, content in members.items():
        if name.endswith(".json"):
            json.loads(content)


def cluster_ids(name, members):
    match name:
        case "insights":
            return {
                members["config/id"].decode(),
                json.loads(members["config/version.json"])["spec"]["clusterID"],
            }
        case "cost":
            return {json.loads(members["manifest.json"])["cluster_id"]}
        case "assisted":
            return {member.partition("/")[0] for member in members}
        case _:
            return set()


@pytest.mark.parametrize("name", ["insights", "cost", "assisted"])
async def test_the_cluster_id_is_inside(name, tmp_path):
    given = "11111111-2222-4333-8444-555555555555"
    members = await members_of(KINDS[name].generate(tmp_path, SampleOptions(cluster_id=given))[0])
    assert cluster_ids(name, members) == {given}
    members = await members_of(KINDS[name].generate(tmp_path, SampleOptions(seed=5))[0])
    assert cluster_ids(name, members) == {SampleOptions(seed=5).cluster()}


def test_a_cluster_id_is_derived_from_the_seed():
    assert (
        SampleOptions(seed=1).cluster() == SampleOptions(seed=1).cluster() != SampleOptions(seed=2).cluster()
    )
    assert uuid.UUID(SampleOptions().cluster()).version == 4


async def test_the_ols_archive_names_no_cluster_and_has_the_collectors_layout(tmp_path):
    options = SampleOptions()
    members = await members_of(KINDS["ols"].generate(tmp_path, options)[0])
    depths = {(name.split("/")[0], name.count("/")) for name in members}
    assert depths == {("feedback", 1), ("transcripts", 3)}
    assert not any(options.cluster().encode() in content for content in members.values())
    for name, content in members.items():
        document = json.loads(content)
        if name.startswith("feedback"):
            assert (document["sentiment"], document["user_feedback"]) != (None, None)
            written = datetime.fromisoformat(document["timestamp"]).replace(tzinfo=UTC)
        else:
            _, user_id, conversation_id, _ = name.split("/")
            assert (document["metadata"]["user_id"], document["metadata"]["conversation_id"]) == (
                user_id,
                conversation_id,
            )
            written = datetime.fromisoformat(document["metadata"]["timestamp"])
        assert written.tzinfo is UTC or written.utcoffset().total_seconds() == 0
        assert abs((options.now - written).days) <= options.days


async def test_the_insights_archive_has_its_troubles(tmp_path):
    members = await members_of(KINDS["insights"].generate(tmp_path, SampleOptions())[0])
    documents = {name: json.loads(content) for name, content in members.items() if name.endswith(".json")}

    def having(prefix, kind, status):
        return [
            name
            for name, document in documents.items()
            if name.startswith(prefix)
            and any((c["type"], c["status"]) == (kind, status) for c in document["status"]["conditions"])
        ]

    degraded = having("config/clusteroperator/", "Degraded", "True")
    assert [documents[name]["metadata"]["name"] for name in degraded if name.count("/") == 2] == [
        "image-registry"
    ]
    assert len(having("config/node/", "Ready", "Unknown")) == 1
    assert len(having("config/node/", "Ready", "True")) == 4
    assert len(having("config/pod/", "Ready", "False")) == 1
    assert "insights-operator/gathers.json" in documents
    assert documents["config/infrastructure.json"]["kind"] == "Infrastructure"


async def test_the_assisted_events_are_in_order(tmp_path):
    options = SampleOptions()
    members = await members_of(KINDS["assisted"].generate(tmp_path, options)[0])
    top = options.cluster()
    assert list(members) == [
        f"{top}/{name}.json"
        for name in ("events/cluster", "events/hosts", "events/infraenv", "events", "versions", "metadata")
    ]
    events = json.loads(members[f"{top}/events.json"])
    times = [event["event_time"] for event in events]
    assert times == sorted(times)
    assert all(time.endswith("Z") and time[-5] == "." for time in times)
    assert events[-1]["name"] == "cluster_installation_completed"
    assert {event["severity"] for event in events} <= {"info", "warning", "error", "critical"}


@pytest.mark.parametrize(
    "options",
    [{"days": 0}, {"workloads": -1}, {"cluster_id": "x"}, {"now": datetime(2026, 1, 1)}],  # noqa: DTZ001
)
def test_wrong_options_are_named(options):
    with pytest.raises(ConfigurationError, match=r"expected"):
        SampleOptions(**options)
