"""What is sent, as what and as whom."""

from datetime import UTC, datetime

import pytest

from headrace.archives import Entry, write_archive
from headrace.archives.files import file_chunks
from headrace.contracts.clusters import is_cluster_uuid
from headrace.contracts.identity import decode_identity
from headrace.laptop.samples import write
from headrace.laptop.sending import SendOptions, uploads_of
from headrace.laptop.uploads import content_type_of, sender, service_of
from headrace.runtime.errors import ConfigurationError
from headrace.samples import KINDS, SampleOptions
from headrace_services.archiver import clusters

FOREIGN = b"".join(write_archive([Entry.of("readme", b"hello")], modified=datetime(2026, 1, 1, tzinfo=UTC)))


@pytest.mark.parametrize("kind", KINDS)
async def test_a_sample_is_known_by_its_content_whatever_its_name(kind, tmp_path):
    made = KINDS[kind].generate(tmp_path, SampleOptions())[0]
    renamed = made.rename(tmp_path / "payload-of-somebody")
    assert await content_type_of(renamed, None) == KINDS[kind].content_type


@pytest.mark.parametrize("kind", KINDS)
async def test_a_sample_is_known_by_its_name(kind, tmp_path):
    for name in KINDS[kind].file_names:
        assert await content_type_of(tmp_path / name, None) == KINDS[kind].content_type


async def test_a_bare_csv_is_cost_data(tmp_path):
    assert await content_type_of(tmp_path / "usage.csv", None) == KINDS["cost"].content_type


@pytest.mark.parametrize(
    "content",
    [b"", b"no archive", FOREIGN],
    ids=["empty", "text", "foreign archive"],
)
async def test_what_tells_nothing_asks_for_a_type(content, tmp_path):
    file = tmp_path / "mystery"
    file.write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"mystery: neither .* --type \(ols, "):
        await content_type_of(file, None)


async def test_wanted_type_is_a_kind_or_a_content_type(tmp_path):
    file = tmp_path / "ols.tgz"
    assert await content_type_of(file, "insights") == KINDS["insights"].content_type
    assert await content_type_of(file, "application/x-own") == "application/x-own"
    with pytest.raises(ConfigurationError, match="--type: got 'inights', expected one of ols, insights"):
        await content_type_of(file, "inights")


@pytest.mark.parametrize(
    ("content_type", "service"),
    [
        *((kind.content_type, kind.service) for kind in KINDS.values()),
        ("application/gzip", "advisor"),
        ("application/octet-stream", "hccm"),
    ],
)
def test_service_is_read_from_the_content_type(content_type, service):
    assert service_of(content_type) == service


def test_cluster_alone_sends_by_token_as_its_operator():
    headers = sender("c1", None, KINDS["ols"].content_type, token="secret")
    assert headers == {
        "Authorization": "Bearer secret",
        "User-Agent": "openshift-lightspeed-operator/user-data-collection cluster/c1",
    }


@pytest.mark.parametrize(
    ("cluster", "org", "seen"),
    [(None, None, ("12345", "User", "")), (None, "7", ("7", "User", "")), ("c1", "7", ("7", "System", "c1"))],
)
def test_organisation_sends_with_an_identity(cluster, org, seen):
    headers = sender(cluster, org, KINDS["insights"].content_type, token="secret")
    identity = decode_identity(headers["x-rh-identity"])
    assert (identity.org_id, identity.type, identity.cluster_id) == seen


@pytest.mark.parametrize("kind", KINDS)
async def test_a_sample_that_is_sent_without_options_is_of_a_known_cluster(kind, tmp_path):
    sample = KINDS[kind].generate(tmp_path, SampleOptions())[0]
    headers = sender(None, None, await content_type_of(sample, None), token="secret")
    identity = decode_identity(headers["x-rh-identity"])
    if KINDS[kind].names_cluster:
        assert identity.cluster_id == ""
        found = await clusters.inside(file_chunks(sample), KINDS[kind].service)
    else:
        found = identity.cluster_id
        with pytest.raises(clusters.NoCluster):
            await clusters.inside(file_chunks(sample), KINDS[kind].service)
    assert is_cluster_uuid(found)
    # An installation is of a cluster of its own.
    assert kind == "assisted" or found == SampleOptions().cluster()


def test_a_sample_that_names_no_cluster_says_how_to_send_it(tmp_path, capsys):
    options = SampleOptions(seed=7)
    write("ols", tmp_path, options)
    assert f"headrace send {tmp_path}/ols.tgz --cluster {options.cluster()}" in capsys.readouterr().out
    write("insights", tmp_path, options)
    assert "--cluster" not in capsys.readouterr().out


async def test_a_sample_that_names_no_cluster_can_be_sent_and_says_as_which(tmp_path):
    made = KINDS["ols"].generate(tmp_path, SampleOptions())[0]
    (upload,) = await uploads_of([made], SendOptions())
    assert decode_identity(upload.headers["x-rh-identity"]).system.cluster_id == SampleOptions().cluster()
    assert upload.note == (
        f"an archive of ols names no cluster: sent as that of the samples, {SampleOptions().cluster()}; "
        "--cluster ID names another"
    )
    (named,) = await uploads_of([made], SendOptions(cluster="c1"))
    assert named.note == ""


@pytest.mark.parametrize("kind", [kind for kind in KINDS if KINDS[kind].names_cluster])
async def test_a_sample_that_names_its_cluster_needs_no_words(kind, tmp_path):
    (upload,) = await uploads_of([KINDS[kind].generate(tmp_path, SampleOptions())[0]], SendOptions())
    assert upload.note == ""
