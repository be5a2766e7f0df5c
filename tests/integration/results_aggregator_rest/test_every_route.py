"""Every route of the table, asked rightly and in each wrong way."""

import re
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import jsonschema_rs
import pytest
import pytest_asyncio

from headrace_services.results_aggregator.callers import MALFORMED, MISSING
from headrace_services.results_aggregator.refusals import FOREIGN, FOREIGN_CLUSTER
from tests.integration.results_aggregator_rest.harness import (
    KEY,
    PREFIXES,
    RULE,
    SELECTOR,
    USER,
    Answer,
    Client,
    Endpoint,
    Tenant,
    body_of,
    document,
    endpoints,
    filled,
    identity,
    open_api,
)
from tests.proxy import TcpProxy
from tests.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

ENDPOINTS = endpoints()
ROUTE = pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: endpoint.operation)
WRITING_ABOUT_A_CLUSTER = {"enable", "disable", "disable_feedback", "like", "dislike", "reset_vote"}
VOTES = {"get_vote", "get_vote_of_organization"}
MALFORMED_VALUES = {
    "org_id": ("0", "-1", "x", "4294967296", "99999999999999999999999"),
    "organization": ("0", "x"),
    "organizations": ("1,x", "0"),
    "cluster": ("aaaa", "34c3ecc5-624a-49a5-bab8-4fdc5e51a26g", "34c3ecc5624a49a5bab84fdc5e51a266"),
    "clusters": ("aaaa", "34c3ecc5-624a-49a5-bab8-4fdc5e51a266,x"),
    "cluster_list": ("aaaa", "34c3ecc5-624a-49a5-bab8-4fdc5e51a266,"),
    "user_id": (" ", "\0", "u" * 129),
    "rule_id": ("rule id with spaces", "a'b", "r" * 1001, "%"),
    "error_key": ("A|B", "é", "a\0"),
    "rule_selector": ("no_key", "a|b|c", "a b|C", "|K", "not a rule"),
    "rule": ("no_key", "a|b|c", "a b|C", "|K"),
    "namespace": ("\0", "n" * 257, "a\nb"),
}


@dataclass
class Scene:
    """Two organisations with the same hit."""

    api: Client
    ours: Tenant
    cluster: str
    theirs: Tenant
    foreign: str

    async def ask(self, endpoint: Endpoint, *, cluster: str, changed: dict[str, str] | None = None) -> Answer:
        path = filled(endpoint, self.ours.org_id, cluster, changed)
        return await self.api.ask(endpoint.method, path, self.ours, body_of(endpoint, cluster))


async def set_up(api: Client) -> Scene:
    ours, theirs = api.tenant(), api.tenant()
    clusters = [await tenant.cluster((RULE, KEY)) for tenant in (ours, theirs)]
    for tenant, cluster in zip((ours, theirs), clusters, strict=True):
        await tenant.namespace(cluster)
        path = f"/rules/{RULE}/error_key/{KEY}/organizations/{tenant.org_id}/disable"
        assert (await api.ask("PUT", path, tenant, {"justification": "known"})).status == 200
        about = f"/clusters/{cluster}/rules/{RULE}/error_key/{KEY}/organizations/{tenant.org_id}/users/{USER}"
        assert (await api.ask("PUT", f"{about}/like", tenant)).status == 200
        body = {"rule": SELECTOR, "rating": -1}
        rating = f"/rules/organizations/{tenant.org_id}/rating"
        assert (await api.ask("POST", rating, tenant, body)).status == 200
    return Scene(api, ours, clusters[0], theirs, clusters[1])


@pytest_asyncio.fixture(loop_scope="module")
async def scene(api: Client) -> Scene:
    return await set_up(api)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def still(api: Client) -> Scene:
    """For tests after which everything must be as it was."""
    return await set_up(api)


async def everything(scene: Scene, tenant: Tenant) -> dict[str, Any]:
    """Every row of an organisation."""
    tables = (
        "report rule_hit recommendation report_info cluster_rule_toggle rule_disable cluster_rule_user_feedback"
        " cluster_user_rule_disable_feedback advisor_ratings dvo.cluster dvo.dvo_report"
    )
    return {
        table: await scene.api.connection.fetch(f"select * from {table} where org_id = $1", tenant.org_id)  # noqa: S608
        for table in tables.split()
    }


def check_form(endpoint: Endpoint, answer: Answer) -> None:
    spec = document()
    responses = spec["paths"][endpoint.path][endpoint.method.lower()]["responses"]
    wanted = responses[str(answer.status)]["content"]["application/json"]["schema"]
    jsonschema_rs.Draft202012Validator(wanted | {"components": spec["components"]}).validate(answer.json)


@ROUTE
async def test_rightly_asked_it_answers_in_the_documents_form_below_both_prefixes(
    scene: Scene, endpoint: Endpoint
):
    path = filled(endpoint, scene.ours.org_id, scene.cluster)
    for prefix in PREFIXES:
        for spelling in (path.removesuffix("/"), f"{path.removesuffix('/')}/"):
            if "elete" in endpoint.operation or "update" in endpoint.operation:
                spelling = path  # noqa: PLW2901 -- the second time there is nothing left
            answer = await scene.api.ask(
                endpoint.method, spelling, scene.ours, body_of(endpoint, scene.cluster), prefix=prefix
            )
            assert answer.status == 200, answer.text
            expected = "rule enabled" if endpoint.operation == "enable_system_wide" else "ok"
            assert answer.json["status"] == expected
            check_form(endpoint, answer)


@ROUTE
async def test_without_an_identity_or_with_a_bad_one_it_is_401(still: Scene, endpoint: Endpoint):
    path = filled(endpoint, still.ours.org_id, still.cluster)
    before = await everything(still, still.ours)
    for headers, text in (
        ({}, MISSING),
        ({"x-rh-identity": ""}, MISSING),
        ({"x-rh-identity": "%%%"}, MALFORMED),
        ({"x-rh-identity": "bm8ganNvbg=="}, MALFORMED),
        (identity(""), MALFORMED),
        (identity("twelve"), MALFORMED),
        (identity("4294967296"), MALFORMED),
        (identity(f"0{still.ours.org_id}"), MALFORMED),
        (identity(f"+{still.ours.org_id}"), MALFORMED),
        (identity(f" {still.ours.org_id}"), MALFORMED),
        (identity(f"{still.ours.org_id}\n"), MALFORMED),
    ):
        answer = await still.api.ask(
            endpoint.method, path, None, body_of(endpoint, still.cluster), headers=headers
        )
        assert answer.why == (401, text)
    check_form(endpoint, answer)
    assert await everything(still, still.ours) == before


@ROUTE
async def test_another_organisations_identity_is_403_and_changes_nothing(still: Scene, endpoint: Endpoint):
    path = filled(endpoint, still.ours.org_id, still.cluster)
    before = await everything(still, still.ours)
    answer = await still.api.ask(endpoint.method, path, still.theirs, body_of(endpoint, still.cluster))
    if endpoint.operation == "main":
        assert answer.ok == {"status": "ok"}
    elif endpoint.operation == "organizations":
        assert answer.ok["organizations"] == [still.theirs.org_id]
    elif endpoint.operation == "reasons":
        assert answer.ok["reasons"] == []
    elif "{org" in endpoint.path:
        assert answer.why == (403, FOREIGN.format(asked=still.ours.org_id, own=still.theirs.org_id))
        check_form(endpoint, answer)
    else:
        assert answer.why == (403, FOREIGN_CLUSTER)
        check_form(endpoint, answer)
    assert await everything(still, still.ours) == before


@ROUTE
async def test_another_organisations_cluster_is_neither_shown_nor_changed(scene: Scene, endpoint: Endpoint):
    before = await everything(scene, scene.theirs)
    answer = await scene.ask(endpoint, cluster=scene.foreign)
    assert scene.foreign not in answer.text or answer.status == 404
    assert f"of {scene.foreign}" not in answer.text
    if endpoint.operation in WRITING_ABOUT_A_CLUSTER | VOTES | {"delete_clusters"}:
        assert answer.why == (403, FOREIGN_CLUSTER)
    elif endpoint.operation in {"reports", "post_reports"}:
        assert answer.why == (400, "Improper organization ID")
    elif "{cluster}" in endpoint.path:
        assert answer.status == 404
    else:
        assert answer.status == 200
    assert await everything(scene, scene.theirs) == before


@ROUTE
async def test_what_is_not_there_is_404_where_one_thing_is_asked_for(scene: Scene, endpoint: Endpoint):
    unknown = {
        "rule_id": "pack.rules.other", "rule_selector": "pack.rules.other|NONE",
        "rule": "pack.rules.other|NONE", "namespace": "none",
    }  # fmt: skip
    answer = await scene.ask(endpoint, cluster=str(uuid.uuid4()), changed=unknown)
    assert answer.status == (404 if endpoint.has_unknown else 200)
    check_form(endpoint, answer)
    if answer.status == 404 and "system_wide" not in endpoint.operation:
        assert re.fullmatch(r"Item with ID \S+ was not found in the storage", answer.why[1])


@ROUTE
async def test_a_malformed_part_of_the_path_is_400_and_named(still: Scene, endpoint: Endpoint):
    before = await everything(still, still.ours)
    for name in re.findall(r"{(\w+)}", endpoint.path):
        for value in MALFORMED_VALUES[name]:
            path = filled(endpoint, still.ours.org_id, still.cluster, {name: value})
            answer = await still.api.ask(endpoint.method, path, still.ours, body_of(endpoint, still.cluster))
            status, text = answer.why
            assert (status, name in text or "cluster ID" in text) == (400, True), (value, answer.text)
            check_form(endpoint, answer)
    assert await everything(still, still.ours) == before


@pytest.mark.parametrize(
    "endpoint", [endpoint for endpoint in ENDPOINTS if endpoint.body], ids=lambda endpoint: endpoint.operation
)
async def test_a_malformed_body_is_400_and_changes_nothing(still: Scene, endpoint: Endpoint):
    path = filled(endpoint, still.ours.org_id, still.cluster)
    before = await everything(still, still.ours)
    wrong: list[tuple[bytes, str]] = [
        (b"{", "the body is not JSON"),
        (b'"\xff"', "the body is not JSON"),
        (b"3", "bad type in json data"),
    ]
    if endpoint.body_required:
        wrong.append((b"", "client didn't provide request body"))
    if endpoint.body == "clusters":
        wrong += [
            (b"[1]", "bad type in json data"),
            (b'{"clusters": 3}', "bad type in json data"),
            (b"[null]", "invalid cluster ID: ''. Error: invalid UUID length: 0"),
            (b'["aaaa"]', "invalid cluster ID: 'aaaa'. Error: invalid UUID length: 4"),
            (
                b"[" + b",".join([b'"%s"' % still.cluster.encode()] * 1001) + b"]",
                "got 1001 clusters, expected at most 1000",
            ),
        ]
    if endpoint.body in {"message", "justification"}:
        wrong += [
            (b'{"%s": 3}' % endpoint.body.encode(), "bad type in json data"),
            (b'{"%s": "%s"}' % (endpoint.body.encode(), b"a" * 256), "is longer than 255 bytes"),
            (b'{"%s": "%s"}' % (endpoint.body.encode(), "é".encode() * 128), "is longer than 255 bytes"),
            (b'{"%s": "a\\u0000"}' % endpoint.body.encode(), "NUL"),
        ]
    if endpoint.body == "rating":
        wrong += [
            (b'{"rating": 1}', "separated by |"),
            (b"null", "separated by |"),
            (b'{"rule": "a|B", "rating": true}', "bad type in json data"),
            (b'{"rule": "a|B", "rating": 2}', "-1, 0 or 1 expected"),
            (b'{"rule": "a", "rating": 1}', "separated by |"),
        ]
    for data, expected in wrong:
        answer = await still.api.ask(endpoint.method, path, still.ours, data=data)
        assert answer.status == 400, (data, answer.text)
        assert expected in answer.why[1]
        check_form(endpoint, answer)
    long = await still.api.ask(endpoint.method, path, still.ours, data=b" " * 300_000)
    assert long.status == 413
    check_form(endpoint, long)
    assert await everything(still, still.ours) == before


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def behind_a_proxy(postgres_url: str) -> AsyncIterator[tuple[Client, TcpProxy]]:
    parts = urlsplit(postgres_url)
    async with TcpProxy.open(f"127.0.0.1:{parts.port or 5432}") as proxy:
        credentials = parts.netloc.rpartition("@")[0]
        seen = f"{parts.scheme}://{credentials}@{proxy.address}{parts.path}"
        async with open_api(postgres_url, seen_by_api=seen, debug=True) as client:
            yield client, proxy


async def test_with_postgresql_away_every_route_is_503_and_recovers(behind_a_proxy: tuple[Client, TcpProxy]):
    api, proxy = behind_a_proxy
    ours = api.tenant()
    cluster = await ours.cluster((RULE, KEY))
    await api.report(ours, cluster)
    await proxy.refuse()
    for endpoint in ENDPOINTS:
        path = filled(endpoint, ours.org_id, cluster)
        answer = await api.ask(endpoint.method, path, ours, body_of(endpoint, cluster))
        if endpoint.operation == "main":
            assert answer.status == 200
            continue
        status, text = answer.why
        assert (status, answer.headers.get("Retry-After")) == (503, "5"), endpoint.operation
        assert "PostgreSQL" in text
        check_form(endpoint, answer)
    assert (await api.get("/info", ours)).status == 200
    await proxy.restore()

    async def shown() -> bool:
        path = f"/organizations/{ours.org_id}/clusters/{cluster}/users/{ours.org_id}/report"
        return (await api.get(path, ours)).status == 200

    await eventually(shown)
