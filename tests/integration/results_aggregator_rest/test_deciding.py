"""Toggles, votes, reasons, system-wide disabling and ratings, and what reports show of them."""

import asyncio
from typing import Any

import pytest

from tests.integration.results_aggregator_rest.harness import KEY, RULE, SELECTOR, USER, Client, Tenant
from tests.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

SPELLINGS = (RULE, f"{RULE}.report")


def about(tenant: Tenant, cluster: str, rule: str = f"{RULE}.report", key: str = KEY) -> str:
    return f"/clusters/{cluster}/rules/{rule}/error_key/{key}/organizations/{tenant.org_id}"


async def hit(api: Client, tenant: Tenant, cluster: str, user: str = USER, key: str = KEY) -> dict[str, Any]:
    """The same, whether asked for alone or with the others."""
    report = await api.report(tenant, cluster, user)
    (found,) = (entry for entry in report["reports"] if entry["key"] == key)
    path = f"/organizations/{tenant.org_id}/clusters/{cluster}/users/{user}/rules/{RULE}|{key}"
    assert (await api.get(path, tenant)).ok["report"] == found
    return dict(found)


@pytest.mark.parametrize("rule", SPELLINGS)
async def test_a_rule_is_disabled_and_enabled_for_one_cluster(api: Client, rule: str):
    ours = api.tenant()
    cluster, sibling = await ours.cluster((RULE, KEY), (RULE, "OTHER_KEY")), await ours.cluster((RULE, KEY))
    path = about(ours, cluster, rule)
    for _ in range(2):
        assert (await api.ask("PUT", f"{path}/disable", ours)).ok == {"status": "ok"}
    disabled = await hit(api, ours, cluster)
    assert disabled["disabled"] is True
    assert disabled["disabled_at"].endswith("Z")
    assert not (await hit(api, ours, cluster, key="OTHER_KEY"))["disabled"]
    assert not (await hit(api, ours, sibling))["disabled"]
    (listed,) = (await api.get(f"/rules/organizations/{ours.org_id}/disabled", ours)).ok["rules"]
    assert (listed["ClusterID"], listed["RuleID"], listed["ErrorKey"], listed["Disabled"]) == (
        cluster,
        rule,
        KEY,
        1,
    )
    assert listed["DisabledAt"]["Valid"]
    assert listed["EnabledAt"] == {"Time": "0001-01-01T00:00:00Z", "Valid": False}
    assert (await api.ask("PUT", f"{path}/enable", ours)).ok == {"status": "ok"}
    enabled = await hit(api, ours, cluster)
    assert (enabled["disabled"], enabled["disabled_at"]) == (False, "")
    assert (await api.get(f"/rules/organizations/{ours.org_id}/disabled", ours)).ok["rules"] == []


async def test_what_was_disabled_by_one_spelling_is_enabled_by_the_other(api: Client):
    ours = api.tenant()
    cluster = await ours.cluster((RULE, KEY))
    for first, second in (SPELLINGS, SPELLINGS[::-1]):
        await api.ask("PUT", f"{about(ours, cluster, first)}/disable", ours)
        assert (await hit(api, ours, cluster))["disabled"]
        await api.ask("PUT", f"{about(ours, cluster, second)}/enable", ours)
        assert not (await hit(api, ours, cluster))["disabled"]
    assert (
        await api.connection.fetchval(
            "select count(*) from cluster_rule_toggle where cluster_id = $1", cluster
        )
        == 1
    )


async def test_disabled_rules_are_listed_for_the_clusters_asked_for(api: Client):
    ours, theirs = api.tenant(), api.tenant()
    clusters = [await ours.cluster((RULE, KEY)) for _ in range(3)]
    foreign = await theirs.cluster((RULE, KEY))
    for tenant, cluster in (*((ours, cluster) for cluster in clusters), (theirs, foreign)):
        assert (await api.ask("PUT", f"{about(tenant, cluster)}/disable", tenant)).status == 200
    path = f"/rules/organizations/{ours.org_id}/disabled_for_clusters"
    rules = (await api.ask("POST", path, ours, [clusters[0], clusters[2], foreign])).ok["rules"]
    assert {rule["ClusterID"] for rule in rules} == {clusters[0], clusters[2]}
    assert (await api.ask("POST", path, ours, [])).ok["rules"] == []
    body = {"message": "is known"}
    assert (
        await api.ask("POST", f"{about(ours, clusters[1])}/users/{USER}/disable_feedback", ours, body)
    ).status == 200
    path = f"/clusters/rules/{RULE}/error_key/{KEY}/organizations/{ours.org_id}/disabled"
    found = (await api.get(path, ours)).ok["clusters"]
    assert [item["cluster_id"] for item in found] == clusters[::-1]
    assert [item["justification"] for item in found] == ["", "is known", ""]


async def test_a_reason_for_disabling_is_its_users_own(api: Client):
    ours = api.tenant()
    cluster = await ours.cluster((RULE, KEY))
    for message in ("first", "not for us: é\n'\"", "not for us: é\n'\""):
        body = {"message": message}
        path = f"{about(ours, cluster)}/users/{USER}/disable_feedback"
        assert (await api.ask("POST", path, ours, body)).ok == {"status": "ok", "message": message}
    assert (await hit(api, ours, cluster))["disable_feedback"] == "not for us: é\n'\""
    assert (await hit(api, ours, cluster, "somebody"))["disable_feedback"] == ""


async def test_a_vote_is_its_users_own_and_the_last_counts(api: Client):
    ours = api.tenant()
    cluster = await ours.cluster((RULE, KEY), (RULE, "OTHER_KEY"))
    for name, vote in (("like", 1), ("dislike", -1), ("dislike", -1), ("reset_vote", 0), ("like", 1)):
        path = f"{about(ours, cluster)}/users/{USER}/{name}"
        assert (await api.ask("PUT", path, ours, {"message": name} if vote else None)).ok == {"status": "ok"}
        assert (await hit(api, ours, cluster))["user_vote"] == vote
    assert (await hit(api, ours, cluster, "somebody"))["user_vote"] == 0
    assert (await hit(api, ours, cluster, key="OTHER_KEY"))["user_vote"] == 0
    rows = await api.connection.fetch(
        "select * from cluster_rule_user_feedback where cluster_id = $1", cluster
    )
    assert [(row["user_vote"], row["message"]) for row in rows] == [(1, "like")]


async def test_a_rule_is_disabled_system_wide_with_a_justification_until_enabled(api: Client):
    ours, theirs = api.tenant(), api.tenant()
    path = f"/rules/{RULE}/error_key/{KEY}/organizations/{ours.org_id}"
    assert (await api.get(path, ours)).why == (404, "Rule was not disabled")
    body = {"justification": "planned"}
    assert (await api.ask("POST", f"{path}/update", ours, body)).why == (404, "Rule was not disabled")
    assert (await api.ask("PUT", f"{path}/disable", ours, body)).ok == {"status": "ok"} | body
    (rule,) = (await api.get(f"/rules/organizations/{ours.org_id}/disabled_system_wide", ours)).ok[
        "disabledRules"
    ]
    assert rule == (await api.get(f"{path}/", ours)).ok["disabledRule"]
    assert rule.pop("created_at")["Valid"]
    assert rule == {
        "org_id": ours.org_id,
        "user_id": "",
        "rule_id": RULE,
        "error_key": KEY,
        "justification": "planned",
        "updated_at": {"Time": "0001-01-01T00:00:00Z", "Valid": False},
    }
    body = {"justification": "done with"}
    other = path.replace(RULE, f"{RULE}.report")
    assert (await api.ask("POST", f"{other}/update", ours, body)).ok == {"status": "ok"} | body
    updated = (await api.get(path, ours)).ok["disabledRule"]
    assert (updated["justification"], updated["updated_at"]["Valid"]) == ("done with", True)
    assert (await api.ask("PUT", f"{other}/disable", ours, body)).status == 200
    assert (
        await api.connection.fetchval("select count(*) from rule_disable where org_id = $1", ours.org_id) == 1
    )
    theirs_path = f"/rules/organizations/{theirs.org_id}/disabled_system_wide"
    assert (await api.get(theirs_path, theirs)).ok["disabledRules"] == []
    for _ in range(2):
        assert (await api.ask("PUT", f"{path}/enable", ours)).ok == {"status": "rule enabled"}
    assert (await api.get(path, ours)).status == 404


async def test_disabling_system_wide_leaves_the_reports_as_they_are(api: Client):
    ours = api.tenant()
    cluster = await ours.cluster((RULE, KEY))
    before = await hit(api, ours, cluster)
    path = f"/rules/{RULE}/error_key/{KEY}/organizations/{ours.org_id}/disable"
    assert (await api.ask("PUT", path, ours, {"justification": "x"})).status == 200
    assert await hit(api, ours, cluster) == before


async def test_a_rating_is_the_organisations_and_the_last_counts(api: Client):
    ours, theirs = api.tenant(), api.tenant()
    for rating in (1, -1, 0, -1):
        body = {"rule": SELECTOR, "rating": rating}
        answer = await api.ask("POST", f"/rules/organizations/{ours.org_id}/rating", ours, body)
        assert answer.ok == {"status": "ok", "ratings": body}
        stored = await api.get(f"/rules/{SELECTOR}/organizations/{ours.org_id}/rating", ours)
        assert stored.ok["rating"] == body
    status, text = (await api.get(f"/rules/{SELECTOR}/organizations/{theirs.org_id}/rating", theirs)).why
    assert (status, text) == (
        404,
        f"Item with ID {theirs.org_id}/{SELECTOR}/rating was not found in the storage",
    )


async def test_two_organisations_with_the_same_hit_do_not_meet(api: Client):
    """Each user decides everything about its own; the other, with the same user id, sees none of it."""
    ours, theirs = api.tenant(), api.tenant()
    cluster, foreign = await ours.cluster((RULE, KEY)), await theirs.cluster((RULE, KEY))
    before = await hit(api, theirs, foreign)
    for method, path, body in (
        ("PUT", f"{about(ours, cluster)}/disable", None),
        ("POST", f"{about(ours, cluster)}/users/{USER}/disable_feedback", {"message": "m"}),
        ("PUT", f"{about(ours, cluster)}/users/{USER}/like", None),
        ("PUT", f"/rules/{RULE}/error_key/{KEY}/organizations/{ours.org_id}/disable", {"justification": "j"}),
        ("POST", f"/rules/organizations/{ours.org_id}/rating", {"rule": SELECTOR, "rating": 1}),
    ):
        assert (await api.ask(method, path, ours, body)).status == 200
    assert await hit(api, theirs, foreign) == before
    assert (await api.get(f"/rules/organizations/{theirs.org_id}/disabled", theirs)).ok["rules"] == []
    own = await hit(api, ours, cluster)
    assert (own["disabled"], own["disable_feedback"], own["user_vote"]) == (True, "m", 1)
    assert (await api.ask("DELETE", f"/organizations/{ours.org_id},{theirs.org_id}", ours)).status == 403
    assert (await api.ask("DELETE", f"/clusters/{cluster},{foreign}", ours)).status == 403
    assert await hit(api, ours, cluster) == own


async def test_deleting_leaves_nothing_of_the_cluster_and_everything_of_others(api: Client):
    ours = api.tenant()
    cluster, kept = await ours.cluster((RULE, KEY)), await ours.cluster((RULE, KEY))
    for one in (cluster, kept):
        await ours.namespace(one)
        assert (await api.ask("PUT", f"{about(ours, one)}/disable", ours)).status == 200
    assert (await api.ask("DELETE", f"/clusters/{cluster.upper()}", ours)).ok == {"status": "ok"}
    for table, column in (
        ("report", "cluster"),
        ("rule_hit", "cluster_id"),
        ("cluster_rule_toggle", "cluster_id"),
    ):
        count = f"select count(*) from {table} where {column} = $1"  # noqa: S608
        assert [await api.connection.fetchval(count, one) for one in (cluster, kept)] == [0, 1]
    assert (await hit(api, ours, kept))["disabled"]
    assert (await api.ask("DELETE", f"/organizations/{ours.org_id}", ours)).ok == {"status": "ok"}
    assert (
        await api.connection.fetchval("select count(*) from dvo.dvo_report where org_id = $1", ours.org_id)
        == 0
    )
    assert (await api.get(f"/organizations/{ours.org_id}/clusters", ours)).ok["clusters"] == []


async def test_another_organisation_does_not_delete_what_users_wrote_of_a_cluster_whose_reports_are_forgotten(
    api: Client,
):
    ours, theirs = api.tenant(), api.tenant()
    cluster = await ours.cluster((RULE, KEY))
    assert (await api.ask("PUT", f"{about(ours, cluster)}/disable", ours)).status == 200
    await api.connection.execute("select claim_cluster($1, $2)", cluster, str(ours.org_id))
    await api.connection.execute("delete from report where cluster = $1", cluster)
    assert (await api.ask("DELETE", f"/clusters/{cluster}", theirs)).status == 403
    toggles = "select count(*) from cluster_rule_toggle where cluster_id = $1"
    assert await api.connection.fetchval(toggles, cluster) == 1
    assert (await api.ask("DELETE", f"/clusters/{cluster}", ours)).ok == {"status": "ok"}
    assert await api.connection.fetchval(toggles, cluster) == 0


async def test_a_vote_cast_while_its_cluster_changes_hands_is_refused(api: Client):
    ours, theirs = api.tenant(), api.tenant()
    cluster = await ours.cluster((RULE, KEY))
    async with api.database.transaction() as moving:
        await moving.execute("update report set org_id = $2 where cluster = $1", cluster, theirs.org_id)
        voting = asyncio.create_task(api.ask("PUT", f"{about(ours, cluster)}/users/{USER}/like", ours))
        await eventually(
            lambda: api.connection.fetchval(
                "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
            )
        )
    assert (await voting).status == 403
    assert (
        await api.connection.fetchval(
            "select count(*) from cluster_rule_user_feedback where cluster_id = $1", cluster
        )
        == 0
    )
