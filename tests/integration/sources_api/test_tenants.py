"""Who sees what: every route with two tenants, and with nobody."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from aiohttp import web

from headrace_services.sources_api.api import PREFIXES
from tests.answers import raw_status
from tests.engines import SessionEngines
from tests.integration.sources_api.harness import COST, PSK, V3, Sources, header, identity, open_sources
from tests.serving import serving

pytestmark = pytest.mark.asyncio(loop_scope="module")

FREE = {"/health", "openapi.json", "source_types", "application_types"}
TYPES = {"source_types", "application_types"}


@dataclass(frozen=True)
class Route:
    method: str
    path: str

    @property
    def kind(self) -> str:
        return self.path.partition("/")[0]

    @property
    def is_free(self) -> bool:
        return self.path in FREE or (self.kind in TYPES and self.path.count("/") < 2)


def routes(sources: Sources) -> set[Route]:
    """What the running application has, below one of the prefixes; prefixes have the same."""
    runner = sources.host.contexts[0].listeners[0]._runner
    assert isinstance(runner, web.AppRunner)
    found = {prefix: set() for prefix in (*PREFIXES, "/internal/v1.0", "/internal/v2.0")}
    for route in runner.app.router.routes():
        path = route.resource.canonical
        for prefix, under in found.items():
            if path.startswith(f"{prefix}/") and not path.endswith("/") and route.method != "HEAD":
                under.add(Route(route.method, path.removeprefix(f"{prefix}/")))
    assert len({frozenset(found[prefix]) for prefix in PREFIXES}) == 1
    return found[PREFIXES[0]]


async def everything(sources: Sources, org: str) -> dict[str, dict[str, Any]]:
    """One of each, by kind."""
    source = await sources.source(org, source_ref="a")
    application = await sources.application(org, source["id"])
    return {
        "sources": source,
        "applications": application,
        "endpoints": await sources.made("endpoints", org, source_id=source["id"]),
        "authentications": await sources.made(
            "authentications", org, resource_type="Application", resource_id=application["id"]
        ),
        "source_types": {"id": source["source_type_id"]},
        "application_types": {"id": application["application_type_id"]},
    }


async def seen(sources: Sources, org: str) -> dict[str, Any]:
    """All a tenant has."""
    kinds = ("sources", "applications", "endpoints", "authentications")
    return {kind: (await sources.get(kind, org)).json["data"] for kind in kinds}


CREATES: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "applications": lambda of: {
        "source_id": of["sources"]["id"],
        "application_type_id": of["application_types"]["id"],
    },
    "endpoints": lambda of: {"source_id": of["sources"]["id"]},
    "authentications": lambda of: {"resource_type": "Application", "resource_id": of["applications"]["id"]},
}


async def test_no_route_lets_one_tenant_see_or_touch_anothers_rows(
    sources: Sources, org: str, other_org: str
) -> None:
    of = await everything(sources, org)
    before = await seen(sources, org)
    assert all(before.values())
    tried = 0
    for route in sorted(routes(sources), key=str):
        if route.is_free or route == Route("POST", "sources"):
            continue
        tried += 1
        path = route.path.replace("{id}", of.get(route.kind, {}).get("id", ""))
        body: dict[str, Any] | None = None
        if route == Route("POST", "bulk_create"):
            body = {"applications": [{"application_type_name": COST, "source_name": of["sources"]["name"]}]}
        elif route.method == "POST" and route.path == route.kind:
            body = CREATES[route.kind](of)
        elif route.method == "PATCH":
            body = {"availability_status": "available"}
        answer = await sources.request(route.method, path, other_org, body)
        if route.method == "GET" and (route.path == route.kind or route.kind in TYPES):
            assert (answer.status, answer.ids) == (200, []), route
        else:
            assert answer.status in {400, 404}, route
            assert "not found" in answer.detail or "no source is called" in answer.detail, route
    assert tried > 25
    assert await seen(sources, org) == before
    assert not any((await seen(sources, other_org)).values())


async def test_nobody_gets_in_without_identity(sources: Sources) -> None:
    for route in routes(sources):
        answer = await sources.request(route.method, route.path.replace("{id}", "1"), body={})
        if route.is_free:
            assert answer.status in {200, 404}, route
        else:
            assert answer.status == 401, route
            assert "Authentication required" in answer.detail


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({"x_rh_identity": "no-base64!"}, "unable to b64 decode x-rh-identity header"),
        ({"x_rh_identity": "AAAA"}, "x-rh-identity header does not contain valid JSON"),
        ({"x_rh_identity": identity("")}, "invalid or missing org_id"),
        (
            {"x_rh_identity": identity("", type="Associate")},
            "account number and the org id are missing",
        ),
        ({"x_rh_identity": identity("a b")}, "expected at most 255 printable ASCII characters"),
        ({"x_rh_identity": identity("o" * 300)}, "expected 1 to 255 printable ASCII characters"),
        ({"x_rh_sources_psk": "wrong", "x_rh_sources_org_id": "1"}, "Unauthorized Action: Incorrect PSK"),
        ({"x_rh_sources_psk": "wrong", "x_rh_identity": identity("1")}, "Unauthorized Action: Incorrect PSK"),
        ({"x_rh_sources_psk": PSK}, "Authentication required"),
        ({"x_rh_sources_org_id": "1"}, "are accepted only with [x-rh-sources-psk]"),
        ({"x_rh_sources_account_number": "1"}, "are accepted only with [x-rh-sources-psk]"),
    ],
)
async def test_what_names_no_tenant_is_refused(
    sources: Sources, headers: dict[str, Any], reason: str
) -> None:
    for method in ("GET", "POST"):
        answer = await sources.request(method, "sources", body={}, **headers)
        assert answer.status == 401
        assert reason in answer.detail


async def test_two_identities_in_one_request_are_refused(sources: Sources, org: str, other_org: str) -> None:
    for pair in ((org, other_org), (other_org, org), (org, org)):
        headers = [("x-rh-identity", identity(name)) for name in pair]
        async with sources.session.get(f"{sources.url}{V3}/sources", headers=headers) as answer:
            assert answer.status == 401


async def test_an_identity_and_headers_that_name_two_organisations_are_refused(
    sources: Sources, org: str, other_org: str
) -> None:
    key = {"x_rh_sources_psk": PSK}
    both = {"x_rh_identity": identity(org), "x_rh_sources_org_id": other_org}
    for headers in (both, both | key):
        assert (await sources.get("sources", **headers)).status == 401
    same = {"x_rh_identity": identity(org), "x_rh_sources_org_id": org}
    assert (await sources.get("sources", **same, **key)).status == 200


@pytest.mark.parametrize(
    "name", ["x-rh-sources-psk", "x-rh-sources-org-id", "Authorization", "x-rh-identity"]
)
async def test_a_header_of_bytes_that_are_no_text_is_no_fault_of_ours(sources: Sources, name: str) -> None:
    status = await raw_status(sources.url, f"{V3}/sources", [(name, "\udcff\udcfe")])
    assert status == 401


async def test_a_tenant_is_known_by_org_id_in_either_place_and_by_account(
    sources: Sources, org: str, fresh: Callable[[str], str]
) -> None:
    account = fresh("account")
    inner = identity("", internal={"org_id": org}, account_number=account)
    source = await sources.post("sources", x_rh_identity=inner, body=await cluster(sources))
    ways = [
        {"x_rh_identity": identity(org, type=None)},
        {"x_rh_identity": identity("", account_number=account)},
        {"x_rh_sources_psk": PSK, "x_rh_sources_org_id": org},
        {"x_rh_sources_psk": PSK, "x_rh_sources_account_number": account},
    ]
    for headers in ways:
        assert (await sources.get("sources", **headers)).ids == [source.json["id"]]


async def test_a_tenant_known_by_account_keeps_its_rows_when_its_org_id_is_seen(
    sources: Sources, org: str, fresh: Callable[[str], str]
) -> None:
    account = fresh("account")
    by_account = {"x_rh_sources_psk": PSK, "x_rh_sources_account_number": account}
    source = await sources.post("sources", body=await cluster(sources), **by_account)
    (record,) = await sources.events.exactly(account, 1)
    assert header(record, "x-rh-sources-account-number") == account
    assert header(record, "x-rh-sources-org-id") == ""
    both = identity(org, account_number=account)
    assert (await sources.get("sources", x_rh_identity=both)).ids == [source.json["id"]]
    assert (await sources.get("sources", org)).ids == [source.json["id"]]


async def test_an_account_of_two_organisations_names_neither(
    sources: Sources, org: str, other_org: str, fresh: Callable[[str], str]
) -> None:
    account = fresh("account")
    for name in (org, other_org):
        both = identity(name, account_number=account)
        assert (await sources.post("sources", x_rh_identity=both, body=await cluster(sources))).status == 201
    alone = identity("", account_number=account)
    answer = await sources.get("sources", x_rh_identity=alone)
    assert (answer.status, "several organisations" in answer.detail) == (401, True)


async def cluster(sources: Sources) -> dict[str, Any]:
    return {"name": "cluster", "source_type_id": await sources.type_id("openshift")}


async def test_internal_routes_are_for_services(sources: Sources, org: str, other_org: str) -> None:
    of = await everything(sources, org)
    await sources.source(other_org)
    key = {"x_rh_sources_psk": PSK}
    for prefix in ("/internal/v1.0", "/internal/v2.0"):
        for path in ("sources", f"authentications/{of['authentications']['id']}"):
            assert (await sources.get(f"{prefix}/{path}", org)).status == 401
        listed = (await sources.get(f"{prefix}/sources?limit=1000", **key)).json["data"]
        assert {org, other_org} <= {item["org_id"] for item in listed}
        # A service that names an organisation sees them all the same.
        named = (await sources.get(f"{prefix}/sources?limit=1000", x_rh_sources_org_id=org, **key)).json[
            "data"
        ]
        assert named == listed
        (own,) = (item for item in named if item["org_id"] == org)
        assert own == {
            "id": of["sources"]["id"],
            "availability_status": "in_progress",
            "tenant": "",
            "org_id": org,
        }
        path = f"{prefix}/authentications/{of['authentications']['id']}"
        assert (await sources.get(path, org, **key)).json["id"] == of["authentications"]["id"]
        assert (await sources.get(path, other_org, **key)).detail == "authentication not found"
        assert (await sources.get(path, **key)).status == 401


async def test_requests_without_identity_are_the_default_organisations_in_the_local_shape(
    engines: SessionEngines, database: str, org: str
) -> None:
    async with open_sources(engines.kafka, database, lenient=True) as local:
        answer = await local.get("sources")
        assert (answer.status, answer.ids) == (200, [])
        source = await local.post("sources", body=await cluster(local))
        assert source.status == 201
        assert (await local.get("sources", "12345")).ids == [source.json["id"]]
        assert (await local.get("sources", org)).ids == []
        # Koku's key needs no setting there, and does not make it somebody else.
        key = {"x_rh_sources_psk": "sources-psk", "x_rh_sources_org_id": org}
        assert (await local.get("sources", **key)).ids == []


@asynccontextmanager
async def rbac(answer: Callable[[str], Awaitable[web.Response]]) -> AsyncIterator[str]:
    async def access(request: web.Request) -> web.Response:
        assert request.query["application"] == "sources"
        return await answer(request.headers["x-rh-identity"])

    app = web.Application()
    app.router.add_get("/api/rbac/v1/access/", access)
    async with serving(app) as url:
        yield url


async def test_rbac_decides_who_may_change(
    engines: SessionEngines, database: str, org: str, other_org: str
) -> None:
    async def answer(header: str) -> web.Response:
        if header == identity(other_org):
            return web.json_response({"data": [{"permission": "sources:sources:read"}]})
        if header == identity("broken"):
            return web.Response(status=500)
        return web.json_response({"data": [{"permission": "sources:*:*"}]})

    async with rbac(answer) as url, open_sources(engines.kafka, database, RBAC_HOST=url) as opened:
        body = await cluster(opened)
        assert (await opened.post("sources", org, body)).status == 201
        refused = await opened.post("sources", other_org, body)
        assert (refused.status, refused.detail) == (401, "Unauthorized Action: Missing RBAC permissions")
        assert (await opened.get("sources", other_org)).status == 200
        assert (await opened.post("sources", "broken", body)).status == 503
        key = {"x_rh_sources_psk": PSK, "x_rh_sources_org_id": other_org}
        assert (await opened.post("sources", body=body, **key)).status == 201


async def test_every_route_is_in_the_document_and_the_reverse(sources: Sources) -> None:
    document = (await sources.get(f"{PREFIXES[0]}/openapi.json")).json
    described = {
        Route(method.upper(), path.removeprefix("/"))
        for path, methods in document["paths"].items()
        for method in methods
    }
    assert described == routes(sources)
