"""What the reading routes say."""

import uuid
from datetime import timedelta

import pytest

from tests.integration.results_aggregator.reporting import Bench, hit, recommended, reported
from tests.integration.results_aggregator_rest.harness import (
    KEY,
    NAMESPACE,
    RULE,
    SELECTOR,
    USER,
    Client,
    identity,
    open_api,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

OTHER = ("pack.rules.alerts", "ALERTS_FIRING")
HIT = {
    "component": f"{RULE}.report",
    "key": KEY,
    "user_vote": 0,
    "disabled": False,
    "disable_feedback": "",
    "disabled_at": "",
    "impacted": "2026-11-18T08:30:15Z",
}


async def test_a_report_has_its_hits_in_order_and_its_moments(api: Client):
    ours = api.tenant()
    cluster = await ours.cluster((RULE, KEY), OTHER)
    report = await api.report(ours, cluster)
    assert report["meta"] == {
        "cluster_name": "",
        "count": 2,
        "last_checked_at": "2026-11-20T08:30:15Z",
        "gathered_at": "2026-11-20T08:29:15Z",
    }
    details = {"node": f"of {cluster}"}
    assert report["reports"] == [
        HIT | {"component": f"{OTHER[0]}.report", "key": OTHER[1], "details": details},
        HIT | {"details": details},
    ]


async def test_a_report_without_hits_counts_minus_one(api: Client):
    ours = api.tenant()
    cluster = await ours.cluster()
    assert await api.report(ours, cluster) == {
        "meta": {
            "cluster_name": "",
            "count": -1,
            "last_checked_at": "2026-11-20T08:30:15Z",
            "gathered_at": "2026-11-20T08:29:15Z",
        },
        "reports": [],
    }
    info = await api.get(f"/organizations/{ours.org_id}/clusters/{cluster}/users/{USER}/report/info", ours)
    assert info.ok["metainfo"]["count"] == -1


async def test_the_metainfo_has_count_and_moments(api: Client):
    ours = api.tenant()
    cluster = await ours.cluster((RULE, KEY), OTHER)
    info = await api.get(f"/organizations/{ours.org_id}/clusters/{cluster}/users/{USER}/report/info", ours)
    assert info.ok["metainfo"].pop("stored_at").endswith("Z")
    assert info.ok["metainfo"] | {"stored_at": ""} == {
        "count": 2,
        "last_checked_at": "2026-11-20T08:30:15Z",
        "stored_at": "",
    }


@pytest.mark.parametrize("selector", [SELECTOR, f"{RULE}.report|{KEY}", f"{RULE}%7C{KEY}"])
async def test_a_single_rule_is_found_by_either_spelling(api: Client, selector: str):
    ours = api.tenant()
    cluster = await ours.cluster((RULE, KEY), OTHER)
    answer = await api.get(
        f"/organizations/{ours.org_id}/clusters/{cluster}/users/{USER}/rules/{selector}", ours
    )
    assert answer.ok["report"] == HIT | {"details": {"node": f"of {cluster}"}}


async def test_many_reports_are_given_as_received_and_unknown_clusters_named(api: Client):
    ours = api.tenant()
    first = await ours.cluster((RULE, KEY), info=[{"info_id": "x", "n": 10**30}])
    second = await ours.cluster()
    unknown = str(uuid.uuid4())
    asked = [second, unknown, first.upper(), second]
    by_path = await api.get(f"/organizations/{ours.org_id}/clusters/{','.join(asked)}/reports", ours)
    path = f"/organizations/{ours.org_id}/clusters/reports"
    by_body = await api.ask("POST", path, ours, {"clusters": asked})
    assert by_path.ok == by_body.ok == (await api.ask("POST", path, ours, asked)).ok
    body = by_path.ok
    assert (body["status"], body["generated_at"]) == ("ok", "")
    assert (body["clusters"], body["errors"]) == ([second, first], [unknown])
    assert set(body["reports"]) == {first, second}
    assert body["reports"][first]["reports"][0]["key"] == KEY
    assert body["reports"][first]["info"] == [{"info_id": "x", "n": 10**30}]
    known = await api.get(f"/organizations/{ours.org_id}/clusters/{first}/reports", ours)
    assert known.ok["errors"] is None
    assert (await api.ask("POST", path, ours, [])).ok["reports"] == {}


async def test_more_reports_than_an_answer_holds_are_400(api: Client, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("headrace_services.results_aggregator.api_reports._MAX_REPORTS_BYTES", 1000)
    ours = api.tenant()
    cluster = await ours.cluster(filler="x" * 1000)
    answer = await api.get(f"/organizations/{ours.org_id}/clusters/{cluster}/reports", ours)
    status, text = answer.why
    assert (status, "the limit is 1000" in text) == (400, True)


async def test_clusters_that_did_not_report_lately_are_left_out(api: Client):
    ours = api.tenant()
    await ours.cluster(age=timedelta(hours=3))
    fresh = sorted([await ours.cluster(age=timedelta(minutes=100)), await ours.cluster()])
    assert (await api.get(f"/organizations/{ours.org_id}/clusters", ours)).ok == {
        "status": "ok",
        "clusters": fresh,
    }


async def test_recommendations_by_rule_and_by_cluster(api: Client):
    ours, theirs = api.tenant(), api.tenant()
    both, one, none = (
        await ours.cluster((RULE, KEY), OTHER),
        await ours.cluster((RULE, KEY)),
        await ours.cluster(),
    )
    foreign = await theirs.cluster((RULE, KEY))
    asked = [both, one, none, foreign, str(uuid.uuid4())]
    lists = await api.ask(
        "POST", f"/recommendations/organizations/{ours.org_id}/users/{USER}/list", ours, asked
    )
    assert lists.ok["recommendations"] == {SELECTOR: sorted([both, one]), "|".join(OTHER): [both]}
    path = f"/clusters/organizations/{ours.org_id}/users/{USER}/recommendations"
    clusters = (await api.ask("POST", path, ours, asked)).ok["clusters"]
    assert {cluster: found["recommendations"] for cluster, found in clusters.items()} == {
        both: sorted([SELECTOR, "|".join(OTHER)]),
        one: [SELECTOR],
        none: [],
    }
    assert clusters[one]["created_at"] == "2026-11-20T08:30:15.250000Z"
    assert clusters[one]["meta"] == {"cluster_version": "4.17.2"}


@pytest.mark.parametrize("selector", [SELECTOR, f"{RULE}.report|{KEY}"])
async def test_a_rules_clusters_are_the_organisations_own(api: Client, selector: str):
    ours, theirs = api.tenant(), api.tenant()
    first, second = sorted([await ours.cluster((RULE, KEY)), await ours.cluster((RULE, KEY), version="")])
    await theirs.cluster((RULE, KEY))
    path = f"/rules/{selector}/organizations/{ours.org_id}/users/{USER}/clusters_detail"
    clusters = (await api.get(path, ours)).ok["clusters"]
    assert [found["cluster"] for found in clusters] == [first, second]
    assert {key: value for key, value in clusters[0].items() if key not in {"cluster", "meta"}} == {
        "cluster_name": "",
        "last_checked_at": "2026-11-20T08:30:15.250000Z",
        "impacted": "2026-11-18T08:30:15.250000Z",
    }
    assert {found["meta"]["cluster_version"] for found in clusters} == {"4.17.2", ""}
    active = await api.ask("GET", path, ours, {"clusters": [second]})
    assert [found["cluster"] for found in active.ok["clusters"]] == [second]


async def test_workloads_by_namespace(api: Client):
    ours, theirs = api.tenant(), api.tenant()
    first, second, foreign = await ours.cluster(), await ours.cluster(), await theirs.cluster()
    for tenant, cluster in ((ours, first), (ours, second), (theirs, foreign)):
        await tenant.namespace(cluster)
    path = f"/organization/{ours.org_id}/workloads"
    found = (await api.get(path, ours)).ok["workloads"]
    assert [item["cluster"]["uuid"] for item in found] == sorted([first, second])
    (item,) = (await api.ask("POST", path, ours, [second, foreign])).ok["workloads"]
    described = {
        "cluster": {"uuid": second, "display_name": ""},
        "namespace": {"uuid": NAMESPACE, "name": "shop"},
        "metadata": {
            "recommendations": 1,
            "objects": 2,
            "reported_at": "2026-11-20T08:30:15Z",
            "last_checked_at": "2026-11-20T08:30:15Z",
            "highest_severity": 0,
            "hits_by_severity": None,
        },
    }
    assert item == described | {"recommendations_hit_count": {"pack.dvo.probes|PROBES": 2}}
    one = await api.get(f"/organization/{ours.org_id}/namespace/{NAMESPACE}/cluster/{second}/workloads", ours)
    assert one.ok["workloads"] == described | {
        "status": "",
        "recommendations": [
            {
                "check": "pack.dvo.probes|PROBES",
                "details": "",
                "resolution": "",
                "modified": "",
                "more_info": "",
                "extra_data": {"samples": 2},
                "objects": [{"kind": "Deployment", "uid": "u1"}, {"kind": "DaemonSet", "uid": "u2"}],
            }
        ],
    }


async def test_what_the_consuming_side_stores_is_what_is_shown(api: Client):
    ours, cluster = api.tenant(), str(uuid.uuid4())
    bench = Bench(api.database)
    named = {"OrgID": ours.org_id, "ClusterName": cluster}
    message = reported(1, hit("nodes", "SMALL", of=2**62), cluster_version="4.16.3")
    assert await bench.take(message | named) == "stored: 1 rule hit"
    assert "1 namespace" in await bench.take_workloads(recommended(probes=[("shop", "w1")]) | named)
    (found,) = (await api.report(ours, cluster))["reports"]
    assert (found["component"], found["key"]) == ("pack.rules.nodes.report", "SMALL")
    assert found["details"]["of"] == 2**62
    many = await api.get(f"/organizations/{ours.org_id}/clusters/{cluster}/reports", ours)
    assert many.ok["reports"] == {cluster: message["Report"]}
    path = f"/rules/pack.rules.nodes|SMALL/organizations/{ours.org_id}/users/{USER}/clusters_detail"
    (detail,) = (await api.get(path, ours)).ok["clusters"]
    assert (detail["cluster"], detail["meta"]) == (cluster, {"cluster_version": "4.16.3"})
    (namespace,) = (await api.get(f"/organization/{ours.org_id}/workloads", ours)).ok["workloads"]
    assert namespace["recommendations_hit_count"] == {"pack.dvo.probes|KEY": 1}
    path = f"/organization/{ours.org_id}/namespace/shop-uid/cluster/{cluster}/workloads"
    (recommendation,) = (await api.get(path, ours)).ok["workloads"]["recommendations"]
    assert recommendation["check"] == "pack.dvo.probes|KEY"
    assert recommendation["objects"] == [{"kind": "Pod", "uid": "w1"}]
    assert (await api.ask("DELETE", f"/clusters/{cluster}", ours)).status == 200
    assert "1 namespace" in await bench.take_workloads(recommended(probes=[("shop", "w1")]) | named)


async def test_metrics_and_options_need_no_identity(api: Client):
    assert (await api.get("/openapi.json")).ok["openapi"] == "3.1.0"
    path = f"/organizations/1/clusters/{uuid.uuid4()}/users/{USER}/report"
    answer = await api.ask("OPTIONS", path)
    assert (answer.status, answer.headers["Allow"], answer.text) == (200, "GET", "")
    assert (await api.ask("PATCH", "/info")).why[0] == 405


async def test_answers_have_the_type_and_unknown_paths_the_text_that_clients_of_go_compare(api: Client):
    ours = api.tenant()
    cluster = await ours.cluster((RULE, KEY))
    report = f"/organizations/{ours.org_id}/clusters/{cluster}/users/{USER}/report"
    for path, status in (("/info", 200), ("/openapi.json", 200), (report, 200), (f"{report}/none", 404)):
        answer = await api.get(path, ours)
        told = "text/plain; charset=utf-8" if status == 404 else "application/json; charset=utf-8"
        assert (answer.status, answer.headers["Content-Type"]) == (status, told)
    for method in ("GET", "OPTIONS", "POST"):
        assert (await api.ask(method, "/nothing/here")).text == "404 page not found\n"
    refused = await api.get(report)
    assert (refused.status, refused.headers["Content-Type"]) == (401, "application/json; charset=utf-8")


async def test_info_names_the_build_and_both_databases_to_those_who_say_who_they_are(api: Client):
    assert (await api.get("/info")).why == (401, "Missing auth token")
    info = (await api.get("/info", api.tenant())).ok["info"]
    assert info.keys() >= {
        "BuildBranch", "BuildCommit", "BuildTime", "BuildVersion", "UtilsVersion", "OCP_DB_version", "DVO_DB_version",
    }  # fmt: skip
    for table, name in (("migration_info", "OCP_DB_version"), ("dvo.migration_info", "DVO_DB_version")):
        assert str(await api.connection.fetchval(f"select version from {table}")) == info[name]  # noqa: S608


async def test_null_is_absence_in_bodies(api: Client):
    ours = api.tenant()
    cluster = await ours.cluster((RULE, KEY))
    reports = f"/organizations/{ours.org_id}/clusters/reports"
    for body in (b"null", b"[]", b'{"clusters": null}', b"{}"):
        answer = (await api.ask("POST", reports, ours, data=body)).ok
        assert (answer["clusters"], answer["errors"], answer["reports"]) == (None, None, {})
    about = f"/clusters/{cluster}/rules/{RULE}/error_key/{KEY}/organizations/{ours.org_id}/users/{USER}"
    for body in (b"null", b'{"message": null}'):
        assert (await api.ask("PUT", f"{about}/like", ours, data=body)).status == 200
        assert (await api.ask("POST", f"{about}/disable_feedback", ours, data=body)).ok["message"] == ""
    rated = await api.ask(
        "POST", f"/rules/organizations/{ours.org_id}/rating", ours, {"rule": "a|B", "rating": None}
    )
    assert rated.ok["ratings"] == {"rule": "a|B", "rating": 0}


async def test_a_vote_and_reasons_are_read_back(api: Client):
    ours, theirs = api.tenant(), api.tenant()
    cluster = await ours.cluster((RULE, KEY))
    rule = f"/clusters/{cluster}/rules/{RULE}/error_key/{KEY}"
    about = f"{rule}/organizations/{ours.org_id}/users/{USER}"
    spellings = (f"{rule}/users/{USER}/get_vote", f"{about}/get_vote")
    for path in spellings:
        assert (await api.get(path, ours)).status == 404
    await api.ask("PUT", f"{about}/dislike", ours)
    await api.ask("POST", f"{about}/disable_feedback", ours, {"message": "known"})
    for path in spellings:
        assert (await api.get(path, ours)).ok["vote"] == -1
    assert (await api.get(spellings[0], theirs)).status == 403
    reasons = f"/rules/users/{USER}/disabled/feedback"
    (reason,) = (await api.get(reasons, ours)).ok["reasons"]
    assert (reason["ClusterID"], reason["RuleID"], reason["ErrorKey"], reason["Message"]) == (
        cluster, RULE, KEY, "known",
    )  # fmt: skip
    assert (await api.get(reasons, theirs)).ok["reasons"] == []


async def test_requests_are_counted_by_route_and_queries_timed(api: Client):
    ours = api.tenant()
    cluster = await ours.cluster((RULE, KEY))

    async def exported() -> dict[str, float]:
        text = (await api.get("/metrics")).text
        lines = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
        return {name: float(value) for name, _, value in lines}

    before = await exported()
    await api.report(ours, cluster)
    await api.get(f"/organizations/x/clusters/{cluster}/users/{USER}/report", ours)
    rule = f"/clusters/{cluster}/rules/{RULE}/error_key/{KEY}/organizations/{ours.org_id}/users/{USER}"
    await api.ask("PUT", f"{rule}/like", ours)
    await api.ask("POST", f"{rule}/disable_feedback", ours, {"message": "m"})
    rating = {"rule": SELECTOR, "rating": 1}
    await api.ask("POST", f"/rules/organizations/{ours.org_id}/rating", ours, rating)
    after = await exported()
    route = "/api/v1/organizations/{org_id}/clusters/{cluster}/users/{user_id}/report"
    moved = {
        f'api_endpoints_requests{{endpoint="{route}"}}': 2,
        f'api_endpoints_response_time_count{{endpoint="{route}"}}': 2,
        'api_endpoints_status_codes{status_code="400"}': 1,
        "feedback_on_rules": 2,
        "rating_on_rules": 1,
        'sql_queries_durations_count{query="report"}': 1,
        "sql_queries_counter": 4,
    }
    assert {name: after[name] - before.get(name, 0) for name in moved} == moved
    assert not any(cluster in name for name in after)


async def test_debug_routes_are_not_there_without_debug(postgres_url: str):
    async with open_api(postgres_url) as api:
        ours = api.tenant()
        cluster = await ours.cluster()
        assert (await api.get("/organizations", ours)).status == 404
        assert (await api.ask("DELETE", f"/organizations/{ours.org_id}", ours)).status == 404
        assert (await api.ask("DELETE", f"/clusters/{cluster}", ours)).status == 404
        assert (await api.report(ours, cluster))["meta"]["count"] == -1


async def test_without_auth_the_paths_organisation_is_believed_and_clusters_still_have_an_owner(
    postgres_url: str,
):
    async with open_api(postgres_url, auth=False, debug=True) as api:
        ours, theirs = api.tenant(), api.tenant()
        cluster = await ours.cluster((RULE, KEY))
        path = f"/organizations/{ours.org_id}/clusters/{cluster}/users/{USER}/report"
        assert (await api.get(path)).ok["report"]["meta"]["count"] == 1
        assert (await api.get(path.replace(str(ours.org_id), str(theirs.org_id)))).status == 404
        assert (await api.get("/organizations")).ok["organizations"] == [ours.org_id]
        rule = f"/clusters/{cluster}/rules/{RULE}/error_key/{KEY}/organizations/{theirs.org_id}/disable"
        assert (await api.ask("PUT", rule)).status == 403


async def test_where_lenient_an_absent_identity_is_the_paths_and_any_other_is_checked(postgres_url: str):
    async with open_api(postgres_url, lenient=True) as api:
        ours, theirs = api.tenant(), api.tenant()
        path = f"/organizations/{ours.org_id}/clusters"
        cluster = await ours.cluster()
        assert (await api.get(path)).ok["clusters"] == [cluster]
        assert (await api.get(path, ours)).ok["clusters"] == [cluster]
        assert (await api.get(path, theirs)).status == 403
        assert (await api.get(path, headers={"x-rh-identity": "?"})).status == 401


async def test_identities_as_other_senders_write_them(api: Client):
    ours = api.tenant()
    path = f"/organizations/{ours.org_id}/clusters"
    text = identity(ours.org_id, user={"user_id": "ÿÿÿ"})["x-rh-identity"]
    urlsafe = text.translate(str.maketrans("+/", "-_")).rstrip("=")
    internal = identity("", internal={"org_id": str(ours.org_id)})
    assert (await api.get(path, headers={"x-rh-identity": urlsafe})).status == 200
    assert (await api.get(path, headers=internal)).status == 200
