"""What a collector sends, as whom, and how it ends."""

import asyncio
import json
import logging

import pytest

from headrace_services.ols_collector.collector import Collector
from tests.integration.ols_collector.harness import (
    ACCESS_TOKEN,
    API_CLUSTER_ID,
    OFFLINE_TOKEN,
    PULL_SECRET_AUTH,
    collect,
    open_peer,
)
from tests.unit.ols_collector.data import CLUSTER_ID, names, plan, write
from tests.waiting import eventually

AGENT = "openshift-lightspeed-operator/user-data-collection cluster/"


@pytest.fixture
def data(tmp_path):
    root = tmp_path / "data"
    write(root, "feedback/f.json", age_seconds=9)
    write(root, "transcripts/u/c/t.json", age_seconds=8)
    return root


@pytest.mark.parametrize(
    ("generation", "content_type", "file_name", "last"),
    [
        (1, "application/vnd.redhat.openshift.periodic+tar", "ols.tgz", "openshift_lightspeed.json"),
        (2, "application/vnd.redhat.ols.periodic+tar", "ols.tgz", "transcripts/u/c/t.json"),
        (
            3,
            "application/vnd.redhat.rhos-lightspeed.periodic+tar",
            "lightspeed-assistant.tgz",
            "transcripts/u/c/t.json",
        ),
    ],
)
async def test_the_form_of_each_generation(data, generation, content_type, file_name, last):
    async with open_peer(data) as peer:
        await collect(plan(data, peer.url, generation=generation, service_id="rhos-lightspeed"))
    (upload,) = peer.uploads
    assert (upload.parts, upload.content_type, upload.file_name) == (["file"], content_type, file_name)
    assert list(upload.members)[-1] == last
    assert upload.headers["Transfer-Encoding"] == "chunked"


async def sent_as(data, **terms):
    async with open_peer(data) as peer:
        outcome = await collect(plan(data, peer.url, **{"auth_token": "", "cluster_id": ""} | terms))
    assert outcome.sent == 2
    (upload,) = peer.uploads
    return peer, upload.headers["Authorization"], upload.headers["User-Agent"]


@pytest.mark.parametrize(("cluster_id", "named"), [("", "test"), (CLUSTER_ID, CLUSTER_ID)])
async def test_as_a_direct_token(data, cluster_id, named):
    _, authorization, agent = await sent_as(data, auth_token="direct", cluster_id=cluster_id)
    assert (authorization, agent) == ("Bearer direct", AGENT + named)


async def test_as_an_offline_token_exchanged_at_the_sso(data):
    peer, authorization, agent = await sent_as(data, cp_offline_token=OFFLINE_TOKEN)
    assert peer.tokens == {"refresh_token rhsm-api": 1}
    assert authorization == f"Bearer {ACCESS_TOKEN}"
    assert "aiohttp" in agent


async def test_as_an_offline_token_of_a_named_cluster(data):
    _, _, agent = await sent_as(data, cp_offline_token=OFFLINE_TOKEN, cluster_id=CLUSTER_ID)
    assert agent == AGENT + CLUSTER_ID


async def test_as_a_service_account(data):
    peer, authorization, agent = await sent_as(data, client_id="me", client_secret="mine")
    assert peer.tokens == {"client_credentials me": 1, f"Bearer {ACCESS_TOKEN}": 1}
    assert (authorization, agent) == (f"Bearer {PULL_SECRET_AUTH}", f"{AGENT}lightspeed-exporter")


@pytest.fixture
def kubeconfig(tmp_path, monkeypatch):
    def point_to(url):
        path = tmp_path / "kubeconfig"
        config = {
            "current-context": "here",
            "contexts": [{"name": "here", "context": {"cluster": "here", "user": "me"}}],
            "clusters": [{"name": "here", "cluster": {"server": url}}],
            "users": [{"name": "me", "user": {"token": "planted-api-token"}}],
        }
        path.write_text(json.dumps(config))
        monkeypatch.setenv("KUBECONFIG", str(path))

    return point_to


async def test_as_the_cluster_by_its_pull_secret(data, kubeconfig):
    async with open_peer(data) as peer:
        kubeconfig(peer.url)
        await collect(plan(data, peer.url, auth_token="", cluster_id=""))
    (upload,) = peer.uploads
    assert upload.headers["Authorization"] == f"Bearer {PULL_SECRET_AUTH}"
    assert upload.headers["User-Agent"] == AGENT + API_CLUSTER_ID


async def test_a_cluster_that_opted_out_sends_nothing(data, kubeconfig):
    async with open_peer(data, pull_secret={"auths": {"quay.io": {"auth": "x"}}}) as peer:
        kubeconfig(peer.url)
        outcome = await collect(plan(data, peer.url, auth_token="", cluster_id=""))
        assert not peer.uploads
    assert outcome.reason.startswith("pull secret not found")
    assert len(names(data)) == 2


@pytest.mark.parametrize(
    "secret",
    [
        "", "{", "null", "[]", "{}", '{"auths":{}}', '{"auths":{"quay.io":{"auth":"x"}}}',
        '{"auths":{"cloud.openshift.com":{"auth":""}}}', '{"auths":{"cloud.openshift.com":null}}',
        '{"auths":{"Cloud.OpenShift.com":{"auth":"x"}}}', '{"auths":{"https://cloud.openshift.com":{"auth":"x"}}}',
        '{"auths":{"cloud.openshift.com:443":{"auth":"x"}}}', '{"auths":{"cloud.openshift.com":{"auth":" "}}}', None,
    ],
)  # fmt: skip
async def test_a_pull_secret_that_opted_out_wins_over_every_other_credential(data, tmp_path, secret):
    path = tmp_path / "pull-secret"
    if secret is not None:
        path.write_text(secret)
    for more in ({}, {"auth_token": "direct"}, {"cp_offline_token": OFFLINE_TOKEN}):
        terms = {"auth_token": "", "cluster_id": CLUSTER_ID, "pull_secret_file": str(path)} | more
        async with open_peer(data) as peer:
            outcome = await collect(plan(data, peer.url, **terms))
        assert outcome.reason
        assert peer.uploads == []
    assert names(data) == {"feedback/f.json", "transcripts/u/c/t.json"}


async def test_an_opt_out_between_two_attempts_ends_them(data, tmp_path):
    path = tmp_path / "pull-secret"
    path.write_text('{"auths":{"cloud.openshift.com":{"auth":"x"}}}')
    terms = {
        "auth_token": "",
        "cluster_id": CLUSTER_ID,
        "pull_secret_file": str(path),
        "ingress_base_delay": 0.2,
    }
    async with open_peer(data, 503, 503) as peer:
        collecting = asyncio.create_task(collect(plan(data, peer.url, **terms)))
        await eventually(lambda: peer.uploads, within_seconds=60)
        path.write_text('{"auths":{"quay.io":{"auth":"x"}}}')
        outcome = await collecting
    assert "no auths/cloud.openshift.com/auth" in outcome.reason
    assert not outcome.sent
    assert names(data) == {"feedback/f.json", "transcripts/u/c/t.json"}


@pytest.mark.parametrize("generation", [2, 3])
async def test_what_the_user_disabled_stays_here_whoever_wrote_it(data, generation):
    async with open_peer(data) as peer:
        terms = {"generation": generation, "disabled_kinds": ("transcripts",), "storage_limit_bytes": 1}
        outcome = await collect(plan(data, peer.url, **terms))
    assert outcome.sent == 1
    assert list(peer.uploads[0].members) == ["feedback/f.json"]
    assert names(data) == {"transcripts/u/c/t.json"}
    async with open_peer(data) as peer:
        every = ("feedback", "transcripts", "config")
        outcome = await collect(plan(data, peer.url, generation=generation, disabled_kinds=every))
    assert outcome.skipped == "user data collection is disabled"
    assert peer.uploads == []


async def test_without_a_cluster_the_reason_is_told(data, monkeypatch, tmp_path):
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    outcome = await collect(plan(data, auth_token="", cluster_id=""))
    assert outcome.reason.startswith("pull secret not found: ")


@pytest.mark.parametrize(("sso_status", "attempts"), [(400, 1), (503, 3)])
async def test_an_sso_that_refuses_is_not_asked_again(data, sso_status, attempts):
    async with open_peer(data, sso_status=sso_status) as peer:
        outcome = await collect(plan(data, peer.url, auth_token="", cp_offline_token=OFFLINE_TOKEN))
        assert peer.tokens.total() == attempts
        assert not peer.uploads
    assert outcome.reason.startswith("Failed to generate access token. Response: ")
    assert len(names(data)) == 2


async def test_the_control_file_skips_the_cycle(data, caplog):
    caplog.set_level(logging.INFO)
    (data / "disable_collector").touch()
    async with open_peer(data) as peer:
        outcome = await collect(plan(data, peer.url))
        assert not peer.uploads
    assert outcome.skipped
    assert [record.getMessage() for record in caplog.records] == [
        "disabled by control file, skipping data collection"
    ]


async def test_nothing_to_do(data, caplog, tmp_path):
    caplog.set_level(logging.INFO)
    await collect(plan(tmp_path / "data" / "feedback"))
    assert caplog.messages == [f"'{tmp_path}/data/feedback' contains no data, nothing to do..."]


async def test_a_dry_run_sends_and_deletes_nothing(data, caplog):
    caplog.set_level(logging.INFO)
    async with open_peer(data) as peer:
        await collect(plan(data, peer.url, dry_run=True, keep=True, storage_limit_bytes=1))
        assert not peer.uploads
    assert len(names(data)) == 2
    assert "dry run: 2 files" in caplog.text


async def test_a_cycle_that_failed_is_followed_by_another_after_the_retry_interval(data):
    async with open_peer(data, 503) as peer:
        terms = {"collection_interval": 3600.0, "retry_interval": 0.05, "ingress_max_retries": 1}
        collector = Collector(plan(data, peer.url, **terms))
        task = asyncio.create_task(collector.run())
        await eventually(lambda: not names(data), within_seconds=60)
        await collector.stop(20)
        await task
    assert [upload.status for upload in peer.uploads] == [503, 202]


async def test_what_is_kept_is_not_sent_twice_by_one_process(data):
    async with open_peer(data) as peer:
        collector = Collector(plan(data, peer.url, keep=True, collection_interval=0.05))
        task = asyncio.create_task(collector.run())
        await eventually(lambda: collector.status.cycles >= 2, within_seconds=60)
        write(data, "config/later.json")
        await eventually(lambda: len(peer.uploads) == 2, within_seconds=60)
        await collector.stop(20)
        await task
    assert [set(upload.members) for upload in peer.uploads] == [
        {"feedback/f.json", "transcripts/u/c/t.json"},
        {"config/later.json"},
    ]
    assert len(names(data)) == 3


@pytest.mark.parametrize(("generation", "uploads"), [(2, 0), (3, 1)])
async def test_sigterm_means_a_final_collection_for_the_exporter_only(data, generation, uploads):
    async with open_peer(data) as peer:
        collector = Collector(plan(data, peer.url, generation=generation, initial_wait=3600.0))
        task = asyncio.create_task(collector.run())
        await asyncio.sleep(0)
        await collector.stop(30)
        await task
        assert len(peer.uploads) == uploads


async def test_a_stop_lets_the_upload_under_way_finish(data):
    async with open_peer(data, hold=asyncio.Event()) as peer:
        collector = Collector(plan(data, peer.url, collection_interval=3600.0))
        task = asyncio.create_task(collector.run())
        await eventually(lambda: peer.uploads and peer.uploads[0].body, within_seconds=60)
        stopping = asyncio.create_task(collector.stop(30))
        await asyncio.sleep(0)
        assert len(names(data)) == 2
        peer.hold.set()
        await stopping
        await task
    assert not names(data)


async def test_a_stop_that_cannot_wait_keeps_the_files(data):
    async with open_peer(data, hold=asyncio.Event()) as peer:
        collector = Collector(plan(data, peer.url, collection_interval=3600.0))
        task = asyncio.create_task(collector.run())
        await eventually(lambda: peer.uploads and peer.uploads[0].body, within_seconds=60)
        await collector.stop(0.01)
        with pytest.raises(asyncio.CancelledError):
            await task
        assert len(names(data)) == 2
        peer.hold.set()
