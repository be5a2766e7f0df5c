import json

import pytest

from headrace.local.simulators.kubernetes import NAMESPACES, KubernetesSimulator
from headrace.runtime.errors import ConfigurationError, Permanent, Rejected, Retryable
from headrace.runtime.retries import RetryPolicy
from headrace.samples.app_studio import tenant_namespaces, user_signups
from headrace_services.segment_bridge.kv_store import Lookup, upload
from headrace_services.segment_bridge.maps import uid_map, workspace_map
from headrace_services.segment_bridge.settings import MapSettings
from headrace_services.segment_bridge.splunk import Splunk

GROUP = "toolchain.dev.openshift.com"
USERS = [f"user{n}" for n in range(1, 10)]


@pytest.fixture(autouse=True)
def _retries_at_once(monkeypatch):
    monkeypatch.setattr(RetryPolicy, "delay_seconds", lambda *_: 0.0)


@pytest.fixture
async def clusters(tmp_path, monkeypatch):
    """A host and two members, as upstream's own test has them."""
    async with KubernetesSimulator("host", "m01", "rh01") as opened:
        opened.clusters["host"].fill(user_signups=user_signups(9, seed=1))
        namespaces = list(tenant_namespaces(9))
        opened.clusters["m01"].fill(namespaces=namespaces[:10])
        opened.clusters["rh01"].fill(namespaces=namespaces[10:])
        monkeypatch.setenv("KUBECONFIG", str(opened.write_kubeconfig(tmp_path / "kubeconfig")))
        yield opened


def signup(name, *, username="someone", annotations=None):
    metadata = {"name": name} | ({} if annotations is None else {"annotations": annotations})
    return {"metadata": metadata, "status": {"compliantUsername": username} if username else {}}


async def test_the_uid_map_holds_every_user_with_an_id_as_text(clusters):
    found = await uid_map()
    assert sorted(found.entries) == USERS
    assert all(isinstance(value, str) and value.isdigit() for value in found.entries.values())
    assert not found.skipped
    assert json.loads(found.json()) == found.entries


async def test_ids_are_numbers_where_a_setting_says_so(clusters):
    large = "12345678901234567890123"
    clusters.clusters["host"].fill(
        user_signups=[
            signup("a", username="large", annotations={f"{GROUP}/sso-user-id": large}),
            signup("b", username="zeros", annotations={f"{GROUP}/sso-user-id": "007"}),
            signup("c", username="word", annotations={f"{GROUP}/sso-user-id": "f:1:x"}),
        ]
    )
    found = await uid_map(MapSettings(numeric_ids=True))
    # No digit is lost, and what would be no JSON stays text.
    assert f'"large":{large}' in found.json().decode()
    decoded = json.loads(found.json())
    assert [decoded["zeros"], decoded["word"]] == ["007", "f:1:x"]
    assert all(isinstance(decoded[user], int) for user in USERS)


async def test_a_user_signup_without_annotations_does_not_make_the_map_fail(clusters):
    clusters.clusters["host"].fill(
        user_signups=[
            signup("bare"),
            signup("empty", annotations={}),
            signup("null", annotations={f"{GROUP}/sso-user-id": ""}),
            signup("pending", username="", annotations={f"{GROUP}/sso-user-id": "1"}),
            {"metadata": {"name": "new", "annotations": {f"{GROUP}/sso-user-id": "1"}}},
        ]
    )
    found = await uid_map()
    assert sorted(found.entries) == USERS
    assert found.skipped == {
        f"UserSignup without annotation {GROUP}/sso-user-id": 3,
        "UserSignup without compliantUsername": 2,
    }


async def test_no_user_signups_are_an_empty_map(clusters):
    assert (await uid_map(MapSettings(host_context="m01"))).json() == b"{}\n"


async def test_the_workspace_map_is_of_every_context_a_later_one_wins(clusters):
    other = {
        "metadata": {"name": "user1-tenant", "labels": {f"{GROUP}/type": "tenant", f"{GROUP}/space": "moved"}}
    }
    clusters.clusters["rh01"].put(NAMESPACES, other)
    found = await workspace_map(MapSettings(contexts="m01 rh01"))
    assert found.entries == {f"{user}-tenant": user for user in USERS} | {"user1-tenant": "moved"}
    assert found.replaced == 1
    only = await workspace_map(MapSettings(contexts="m01"))
    assert set(only.entries) < set(found.entries)


async def test_namespaces_that_are_no_tenants_are_not_in_the_map(clusters):
    everything = {name for cluster in clusters.clusters.values() for name in cluster.collections[NAMESPACES]}
    found = await workspace_map(MapSettings(contexts="m01 rh01"))
    assert len(everything) == 18
    assert all(name.endswith("-tenant") for name in found.entries)


async def test_a_tenant_namespace_without_a_space_label_is_counted_not_mapped_to_no_value(clusters):
    bare = {"metadata": {"name": "bare-tenant", "labels": {f"{GROUP}/type": "tenant"}}}
    clusters.clusters["rh01"].put(NAMESPACES, bare)
    found = await workspace_map(MapSettings(contexts="m01 rh01"))
    assert len(found.entries) == 9
    assert found.skipped == {f"tenant namespace without label {GROUP}/space": 1}


async def test_a_cluster_that_cannot_be_read_leaves_no_half_map(clusters):
    with pytest.raises(
        ConfigurationError, match="context 'm02' does not exist; expected one of: host, m01, rh01"
    ):
        await workspace_map(MapSettings(contexts="m01 m02"))
    clusters.faults = [(403, {})]
    with pytest.raises(Permanent, match="cluster m01 answered 403"):
        await workspace_map(MapSettings(contexts="m01 rh01"))
    clusters.faults = [(503, {})] * 3
    with pytest.raises(Retryable, match="cluster host answered 503"):
        await uid_map()


async def test_no_cluster_at_all_is_a_clear_error(monkeypatch, tmp_path):
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(ConfigurationError, match="no Kubernetes cluster is configured"):
        await uid_map()


@pytest.fixture
def splunk_by_environment(simulator, settings, monkeypatch):
    monkeypatch.setenv("SPLUNK_API_URL", simulator.url)
    monkeypatch.setenv("CURL_NETRC", settings.netrc)
    return simulator


async def test_maps_are_uploaded_to_the_kv_store_for_lookups(clusters, splunk_by_environment):
    users = await uid_map(upload_to_splunk=True)
    spaces = await workspace_map(MapSettings(contexts="m01 rh01"), upload_to_splunk=True)
    kv = splunk_by_environment.kv
    stored = {name: item["uid"] for name, item in kv.collections["segment_uid_map"].items()}
    assert stored == users.entries
    stored = {item["namespace"]: item["workspace"] for item in kv.collections["segment_ws_map"].values()}
    assert stored == spaces.entries
    assert kv.lookups["segment_uid_map"] == {
        "external_type": "kvstore", "collection": "segment_uid_map", "fields_list": "_key, username, uid",
    }  # fmt: skip


async def test_an_upload_takes_away_who_is_gone_and_keeps_who_stays(settings, simulator):
    lookup = Lookup("people", "username", "uid")
    async with Splunk(settings) as splunk:
        await upload(splunk, lookup, {f"user{n}": str(n) for n in range(2500)})
        assert len(simulator.kv.collections["people"]) == 2500
        await upload(splunk, lookup, {"user7": "8", "new": "1"})
        assert {name: item["uid"] for name, item in simulator.kv.collections["people"].items()} == {
            "user7": "8", "new": "1",
        }  # fmt: skip
        with pytest.raises(Rejected, match="the map is empty: nothing is uploaded, people remains"):
            await upload(splunk, lookup, {})
        assert len(simulator.kv.collections["people"]) == 2
