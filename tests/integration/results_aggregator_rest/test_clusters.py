"""Headrace's own reads of clusters, and what rules mean in the form of upstream's smart proxy."""

import uuid
from datetime import timedelta
from typing import Any

import pytest

from headrace.contracts.identity import LOCAL_ORG_ID
from tests.integration.results_aggregator_rest.harness import USER, Client, Tenant, open_api

pytestmark = pytest.mark.asyncio(loop_scope="module")

RULE, KEY = "headrace.rule_pack.rules.nodes_not_ready", "NODES_NOT_READY"
UNKNOWN = ("pack.rules.their_own", "THEIR_OWN")
V2: Any = {"prefix": "/api/insights-results-aggregator/v2"}
DETAILS = {"total": 1, "nodes": [{"name": "worker-1", "message": "kubelet stopped"}]}


async def listed(api: Client, tenant: Tenant, query: str = "") -> list[dict[str, Any]]:
    clusters: list[dict[str, Any]] = (await api.get(f"/headrace/clusters?{query}", tenant)).ok["clusters"]
    return clusters


async def test_every_cluster_is_listed_whenever_it_reported_newest_first(api: Client):
    ours, theirs = api.tenant(), api.tenant()
    old = await ours.cluster((RULE, KEY), UNKNOWN, age=timedelta(days=9))
    new = await ours.cluster(version="4.18.0")
    other = await theirs.cluster((RULE, KEY))
    first, second = await listed(api, ours)
    assert (first["cluster"], second["cluster"]) == (new, old)
    assert first["hits_by_total_risk"] == {"1": 0, "2": 0, "3": 0, "4": 0}
    assert (first["cluster_version"], first["hits"], first["highest_total_risk"]) == ("4.18.0", 0, 0)
    assert (second["hits"], second["highest_total_risk"]) == (2, 3)
    assert second["hits_by_total_risk"] == {"0": 1, "1": 0, "2": 0, "3": 1, "4": 0}
    assert [item["cluster"] for item in await listed(api, theirs)] == [other]
    assert [item["cluster"] for item in await listed(api, ours, f"cluster={old[:7]}")] == [old]
    assert await listed(api, ours, f"cluster={other}") == []
    # Upstream's list leaves out what has not reported for two hours.
    answer = await api.get(f"/organizations/{ours.org_id}/clusters", ours)
    assert answer.ok["clusters"] == [new]


async def test_pages_of_clusters_neither_overlap_nor_miss_one(api: Client):
    ours = api.tenant()
    made = {await ours.cluster(age=timedelta(hours=number // 2)) for number in range(7)}
    seen, cursor = [], ""
    while cursor is not None:
        answer = (await api.get(f"/headrace/clusters?limit=3&cursor={cursor}", ours)).ok
        seen += [item["cluster"] for item in answer["clusters"]]
        cursor = answer["next"]
    assert len(seen) == 7
    assert set(seen) == made


async def test_a_disabled_rule_is_not_counted(api: Client):
    ours = api.tenant()
    one, other = await ours.cluster((RULE, KEY)), await ours.cluster((RULE, KEY))
    of_rule = f"rules/{RULE}.report/error_key/{KEY}/organizations/{ours.org_id}"
    await api.ask("PUT", f"/clusters/{one}/{of_rule}/disable", ours)
    assert {item["cluster"]: item["hits"] for item in await listed(api, ours)} == {one: 0, other: 1}
    await api.ask("PUT", f"/{of_rule}/disable", ours, {"justification": "known"})
    assert {item["hits"] for item in await listed(api, ours)} == {0}
    (hit,) = (await api.get(f"/headrace/clusters/{one}", ours)).ok["cluster"]["hits"]
    assert (hit["disabled"], hit["disabled_system_wide"]) == (True, True)


async def test_a_cluster_is_described_with_what_its_hits_mean(api: Client):
    ours, theirs = api.tenant(), api.tenant()
    told: Any = {"pass": [{}, {}], "skips": [{"rule_fqdn": "r", "details": "d"}]}
    cluster = await ours.cluster((RULE, KEY), UNKNOWN, **told)
    await api.connection.execute(
        "update rule_hit set template_data = $2 where cluster_id = $1 and error_key = $3",
        cluster, '{"total": 1, "nodes": [{"name": "worker-1", "message": "kubelet stopped"}]}', KEY,
    )  # fmt: skip
    described = (await api.get(f"/headrace/clusters/{cluster}", ours)).ok["cluster"]
    known, unknown = described["hits"]
    assert (known["selector"], known["total_risk"], known["extra_data"]) == (f"{RULE}|{KEY}", 3, DETAILS)
    assert "1 nodes are not ready:" in known["reason"]
    assert "`worker-1`" in known["reason"]
    assert "{{" not in known["reason"] + known["resolution"]
    assert all(known[part] for part in ("description", "summary", "generic", "resolution", "more_info"))
    assert (unknown["description"], unknown["total_risk"], unknown["tags"]) == ("", 0, [])
    assert (described["passed"], described["skipped"]) == (2, [{"rule_id": "r", "reason": "d"}])
    assert (await api.get(f"/headrace/clusters/{cluster}", theirs)).status == 404
    assert (await api.get(f"/headrace/clusters/{cluster}?org_id={ours.org_id}", theirs)).status == 403
    assert (await api.get(f"/headrace/clusters/{cluster}")).status == 401


async def test_the_report_of_a_payload_is_found_by_its_request_id(api: Client):
    ours, theirs = api.tenant(), api.tenant()
    cluster = await ours.cluster((RULE, KEY))
    await api.connection.execute("update report set request_id = 'a/b' where cluster = $1", cluster)
    (report,) = (await api.get("/headrace/requests/a%2Fb", ours)).ok["reports"]
    assert (report["cluster"], report["hits"], report["stored"]) == (cluster, 1, True)
    for tenant, request_id in ((theirs, "a%2Fb"), (ours, "other")):
        assert (await api.get(f"/headrace/requests/{request_id}", tenant)).ok["reports"] == []


async def test_without_identity_a_lenient_installation_means_the_local_organisation(postgres_url: str):
    async with open_api(postgres_url, lenient=True) as lenient:
        local, other = Tenant(lenient.connection, int(LOCAL_ORG_ID)), lenient.tenant()
        cluster, another = await local.cluster(), await other.cluster()
        assert [item["cluster"] for item in (await lenient.get("/headrace/clusters")).ok["clusters"]] == [
            cluster
        ]
        answer = await lenient.get(f"/headrace/clusters?org_id={other.org_id}")
        assert [item["cluster"] for item in answer.ok["clusters"]] == [another]


async def test_content_has_the_form_of_the_smart_proxy(api: Client):
    ours = api.tenant()
    content = {
        item["plugin"]["python_module"]: item
        for item in (await api.get("/content", ours, **V2)).ok["content"]
    }
    key = content[RULE]["error_keys"][KEY]
    assert key["total_risk"] == (key["metadata"]["impact"] + key["metadata"]["likelihood"]) // 2 == 3
    one = (await api.get(f"/rule/{RULE}.report%7C{KEY}/content", ours, **V2)).ok["content"]
    assert (one["rule_id"], one["reason"], one["total_risk"]) == (f"{RULE}|{KEY}", key["reason"], 3)
    assert "{{" in one["reason"]
    assert (await api.get(f"/rule/pack.rules.none%7C{KEY}/content", ours, **V2)).status == 404
    assert (await api.get("/content", **V2)).status == 401


async def test_a_report_of_the_smart_proxy_has_the_described_hits(api: Client):
    ours, theirs = api.tenant(), api.tenant()
    cluster = await ours.cluster((RULE, KEY), UNKNOWN)
    report = (await api.get(f"/cluster/{cluster}/reports", ours, **V2)).ok["report"]
    assert report["meta"]["count"] == 1
    (hit,) = report["data"]
    assert (hit["rule_id"], hit["total_risk"], hit["disabled"]) == (f"{RULE}|{KEY}", 3, False)
    assert hit["extra_data"] == {"node": f"of {cluster}"}
    for tenant, path in ((theirs, cluster), (ours, uuid.uuid4())):
        assert (await api.get(f"/cluster/{path}/reports", tenant, **V2)).status == 404
    assert USER not in str(report)
