import json
import re
from typing import Any

import pytest

from headrace_services.sources_api.api import PREFIXES
from tests.integration.sources_api.harness import COST, PSK, V1, Sources, identity

pytestmark = pytest.mark.asyncio(loop_scope="module")

RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
CLUSTER = "1b77b73f-1d3e-43c6-9f55-bcd9fb6d1a0c"


async def test_health_says_ok(sources: Sources) -> None:
    answer = await sources.get("/health")
    assert (answer.status, answer.text) == (200, "OK")


async def test_the_cost_operator_registers_its_cluster(sources: Sources, org: str) -> None:
    (type_id,) = (await sources.get("source_types?filter[name]=openshift", org)).ids
    search = f"sources?filter[source_type_id]={type_id}&filter[source_ref]={CLUSTER}&filter[name]=my-cluster"
    assert (await sources.get(search, org)).ids == []
    (cost_id,) = (await sources.get(f"application_types?filter[name]={COST}", org)).ids
    source = await sources.post(
        "sources", org, {"name": "my-cluster", "source_type_id": type_id, "source_ref": CLUSTER}
    )
    assert source.status == 201
    application = await sources.post(
        "applications", org, {"source_id": source.json["id"], "application_type_id": cost_id}
    )
    assert application.status == 201
    assert (await sources.get(search, org)).ids == [source.json["id"]]


async def test_koku_finds_the_source_of_a_cluster_and_reports_its_status(sources: Sources, org: str) -> None:
    source = await sources.source(org, source_ref=CLUSTER)
    application = await sources.application(org, source["id"])
    key: dict[str, Any] = {"x_rh_sources_psk": PSK, "x_rh_sources_org_id": org}
    answer = await sources.get(f"{V1}/application_types?filter[name]={COST}", **key)
    (cost_id,) = answer.ids
    path = f"{V1}/application_types/{cost_id}/sources?filter[id]={source['id']}"
    assert (await sources.get(path, **key)).ids == [source["id"]]
    assert (await sources.get(f"{V1}/sources/{source['id']}", **key)).json["source_ref"] == CLUSTER
    kind = await sources.get(f"{V1}/source_types?filter[id]={source['source_type_id']}", **key)
    assert kind.json["data"][0]["name"] == "openshift"
    path = f"{V1}/applications?filter[source_id]={source['id']}&filter[application_type_id]={cost_id}"
    assert (await sources.get(path, **key)).ids == [application["id"]]

    status = {"availability_status": "unavailable", "availability_status_error": "no data"}
    path = f"{V1}/applications/{application['id']}"
    changed = await sources.request("PATCH", path, body=status, **key)
    assert changed.status == 200
    assert changed.json["availability_status_error"] == "no data"
    assert "last_available_at" not in changed.json
    assert RFC3339.fullmatch(changed.json["last_checked_at"])
    of_source = (await sources.get(f"sources/{source['id']}", org)).json
    assert of_source["availability_status"] == "unavailable"
    assert of_source["last_checked_at"] == changed.json["last_checked_at"]


async def a_source(sources: Sources) -> dict[str, Any]:
    return {"name": "cluster", "source_type_id": await sources.type_id("openshift")}


@pytest.mark.parametrize("prefix", PREFIXES)
async def test_every_prefix_has_the_routes(sources: Sources, org: str, prefix: str) -> None:
    source = await sources.post(
        f"{prefix}/sources", org, {"name": prefix, "source_type_id": await sources.type_id("openshift")}
    )
    answer = await sources.get(f"{prefix}/sources", org)
    assert answer.ids == [source.json["id"]]
    assert answer.json["links"]["first"] == f"{prefix}/sources?limit=100&offset=0"
    assert (await sources.get(f"{prefix}/openapi.json")).json["servers"] == [{"url": prefix}]


async def test_a_source_is_shown_as_clients_expect(sources: Sources, org: str) -> None:
    type_id = await sources.type_id("openshift")
    # Ids are taken as numbers too.
    body = {"name": "cluster", "source_type_id": int(type_id), "uid": "mine"}
    source = (await sources.post("sources", org, body)).json
    assert RFC3339.fullmatch(source.pop("created_at"))
    assert RFC3339.fullmatch(source.pop("updated_at"))
    assert re.fullmatch("[0-9a-f-]{36}", source.pop("uid"))
    assert re.fullmatch("[0-9]+", source.pop("id"))
    assert source == {
        "name": "cluster",
        "source_type_id": type_id,
        "availability_status": "in_progress",
        "app_creation_workflow": "manual_configuration",
    }


async def test_types_are_known_by_name_and_need_no_identity(sources: Sources) -> None:
    kinds = await sources.get("source_types")
    assert {item["name"] for item in kinds.json["data"]} >= {"openshift", "amazon", "azure", "google", "ibm"}
    (cost,) = (await sources.get(f"application_types?filter[name][eq]={COST}")).json["data"]
    assert cost["display_name"] == "Cost Management"
    assert cost["supported_source_types"] == ["openshift", "amazon", "azure", "google", "ibm"]
    assert cost["supported_authentication_types"]["openshift"] == ["token"]
    assert (await sources.get(f"application_types/{cost['id']}")).json == cost


async def test_the_first_endpoint_is_the_default_one(sources: Sources, org: str) -> None:
    source = await sources.source(org)
    first = await sources.made("endpoints", org, source_id=source["id"], host="api.example.com", path="/x")
    shown = {name: first[name] for name in ("scheme", "port", "verify_ssl", "host", "path", "default")}
    assert shown == {
        "scheme": "https",
        "port": 443,
        "verify_ssl": False,
        "host": "api.example.com",
        "path": "/x",
        "default": True,
    }
    second = await sources.made("endpoints", org, source_id=source["id"], role="kubernetes", port=6443)
    assert (second["default"], second["port"]) == (False, 6443)
    answer = await sources.post("endpoints", org, {"source_id": source["id"], "default": True})
    assert answer.detail == (
        "bad request: Validation failed: a default endpoint already exists for the provided source"
    )
    answer = await sources.post("endpoints", org, {"source_id": source["id"], "role": "kubernetes"})
    assert answer.detail == "bad request: Validation failed: the role already exists for the given source"
    changed = await sources.patch(f"endpoints/{second['id']}", org, {"host": "b.example.com"})
    assert (changed.json["host"], changed.json["port"]) == ("b.example.com", 6443)


async def test_empty_parts_of_an_endpoint_stay(sources: Sources, org: str) -> None:
    source = await sources.source(org)
    empty = {"role": "", "host": "", "path": ""}
    given = await sources.made("endpoints", org, source_id=source["id"], **empty)
    absent = await sources.made("endpoints", org, source_id=source["id"])
    filled = await sources.made(
        "endpoints", org, source_id=source["id"], role="a", host="a.example.com", path="/"
    )
    emptied = (await sources.patch(f"endpoints/{filled['id']}", org, empty)).json
    for endpoint in (given, absent, emptied):
        assert endpoint | empty == endpoint


async def test_a_change_of_nothing_is_refused(sources: Sources, org: str) -> None:
    source = await sources.source(org)
    for path, body in (
        (f"sources/{source['id']}", {}),
        (f"sources/{source['id']}", None),
        (f"sources/{source['id']}", {"name": None}),
    ):
        answer = await sources.request("PATCH", path, org, raw=json.dumps(body).encode())
        assert (answer.status, answer.detail) == (400, "bad request: empty body")
    for nothing in ({}, {"sources": None}, {"sources": [], "applications": []}):
        answer = await sources.post("bulk_create", org, nothing)
        assert (answer.status, answer.detail) == (400, "bad request: empty body")


async def test_a_slash_at_the_end_of_a_path_says_nothing(sources: Sources, org: str) -> None:
    source = (await sources.post("sources/", org, await a_source(sources))).json
    listed = await sources.get("sources/", org)
    assert listed.ids == [source["id"]]
    assert listed.json["links"] == (await sources.get("sources", org)).json["links"]
    assert (await sources.get(f"sources/{source['id']}/", org)).json == source
    assert (await sources.get("source_types/")).status == 200
    assert (await sources.patch(f"sources/{source['id']}/", org, {"version": "2"})).status == 200
    assert (await sources.delete(f"sources/{source['id']}/", org)).status == 204


async def test_a_workflow_that_nobody_knows_counts_as_none(sources: Sources, org: str) -> None:
    body = await a_source(sources) | {"app_creation_workflow": "by_hand"}
    made = await sources.post("sources", org, body)
    assert (made.status, made.json["app_creation_workflow"]) == (201, "manual_configuration")


@pytest.mark.parametrize("paused", [False, True])
async def test_when_a_source_was_seen_can_be_told(sources: Sources, org: str, paused: bool) -> None:
    source = await sources.source(org)
    if paused:
        await sources.post(f"sources/{source['id']}/pause", org)
    body = {
        "availability_status": "available",
        "last_checked_at": "2026-08-01T12:00:00+02:00",
        "last_available_at": "2026-07-31 10:00:00 UTC",
    }
    changed = await sources.patch(f"sources/{source['id']}", org, body)
    assert changed.status == 200, changed.text
    assert changed.json["last_checked_at"] == "2026-08-01T10:00:00Z"
    assert changed.json["last_available_at"] == "2026-07-31T10:00:00Z"
    refused = await sources.patch(f"sources/{source['id']}", org, {"last_checked_at": "soon"})
    assert refused.status == 400
    assert "last_checked_at: got 'soon', expected a time such as" in refused.detail


async def test_when_an_endpoint_was_seen_can_be_told(sources: Sources, org: str) -> None:
    source = await sources.source(org)
    seen = {"last_checked_at": "2026-08-01T12:00:00+02:00", "last_available_at": "2026-07-31 10:00:00 UTC"}
    body = {"source_id": source["id"], "host": "api.example.com"}
    # Of a new one nobody has seen anything.
    refused = await sources.post("endpoints", org, body | seen)
    assert (refused.status, "last_checked_at" in refused.detail) == (400, True)
    made = await sources.post("endpoints", org, body)
    assert made.status == 201, made.text
    changed = await sources.patch(f"endpoints/{made.json['id']}", org, seen)
    assert changed.status == 200, changed.text
    assert changed.json["last_checked_at"] == "2026-08-01T10:00:00Z"
    assert changed.json["last_available_at"] == "2026-07-31T10:00:00Z"
    refused = await sources.patch(f"endpoints/{made.json['id']}", org, {"last_available_at": "soon"})
    assert (refused.status, "last_available_at: got 'soon'" in refused.detail) == (400, True)


async def test_what_is_changed_is_changed_and_the_rest_stays(sources: Sources, org: str) -> None:
    source = await sources.source(org, source_ref=CLUSTER, version="1")
    changed = await sources.patch(f"sources/{source['id']}", org, {"name": "renamed", "version": None})
    assert changed.status == 200
    assert changed.json == source | {"name": "renamed", "updated_at": changed.json["updated_at"]}
    assert changed.json["updated_at"] > source["updated_at"]


async def test_a_paused_source_rests_with_its_applications(sources: Sources, org: str) -> None:
    source = await sources.source(org)
    application = await sources.application(org, source["id"])
    assert (await sources.post(f"sources/{source['id']}/pause", org)).status == 204
    for path in (f"sources/{source['id']}", f"applications/{application['id']}"):
        assert RFC3339.fullmatch((await sources.get(path, org)).json["paused_at"])
    refused = await sources.patch(f"sources/{source['id']}", org, {"name": "renamed"})
    assert "the source is paused" in refused.detail
    allowed = await sources.patch(f"sources/{source['id']}", org, {"availability_status": "available"})
    assert allowed.status == 200
    assert (await sources.post(f"sources/{source['id']}/unpause", org)).status == 204
    for path in (f"sources/{source['id']}", f"applications/{application['id']}"):
        assert "paused_at" not in (await sources.get(path, org)).json


async def test_a_check_is_accepted(sources: Sources, org: str) -> None:
    source = await sources.source(org)
    answer = await sources.post(f"sources/{source['id']}/check_availability", org)
    assert (answer.status, answer.json) == (202, {})
    assert (await sources.post("sources/999999/check_availability", org)).detail == "source not found"


async def test_deleting_a_source_removes_all_that_hangs_on_it(sources: Sources, org: str) -> None:
    source = await sources.source(org)
    kept = await sources.source(org, "kept")
    application = await sources.application(org, source["id"])
    endpoint = await sources.made("endpoints", org, source_id=source["id"])
    holders = (("Source", source), ("application", application), ("ENDPOINT", endpoint))
    authentications = [
        await sources.made("authentications", org, resource_type=kind, resource_id=item["id"])
        for kind, item in holders
    ]
    await sources.made(
        "authentications", org, resource_type="Authentication", resource_id=authentications[0]["id"]
    )
    other = await sources.made("authentications", org, resource_type="Source", resource_id=kept["id"])
    assert (await sources.delete(f"sources/{source['id']}", org)).status == 204
    assert (await sources.get("sources", org)).ids == [kept["id"]]
    for kind in ("applications", "endpoints"):
        assert (await sources.get(kind, org)).ids == []
    assert (await sources.get("authentications", org)).ids == [other["id"]]
    assert (await sources.delete(f"sources/{source['id']}", org)).detail == "source not found"


async def test_a_sources_parts_are_listed_below_it(sources: Sources, org: str) -> None:
    source, other = await sources.source(org), await sources.source(org, "other")
    application = await sources.application(org, source["id"])
    endpoint = await sources.made("endpoints", org, source_id=source["id"])
    authentication = await sources.made(
        "authentications", org, resource_type="Application", resource_id=application["id"]
    )
    below = {
        "applications": application["id"],
        "endpoints": endpoint["id"],
        "authentications": authentication["id"],
        "application_types": application["application_type_id"],
    }
    for kind, row_id in below.items():
        assert (await sources.get(f"sources/{source['id']}/{kind}", org)).ids == [row_id]
        assert (await sources.get(f"sources/{other['id']}/{kind}", org)).ids == []
    path = f"applications/{application['id']}/authentications"
    assert (await sources.get(path, org)).ids == [authentication["id"]]
    assert (await sources.get(f"endpoints/{endpoint['id']}/authentications", org)).ids == []
    path = f"source_types/{source['source_type_id']}/sources"
    assert (await sources.get(path, org)).ids == [source["id"], other["id"]]
    cost = application["application_type_id"]
    assert (await sources.get(f"application_types/{cost}/sources", org)).ids == [source["id"]]


BAD_BODIES = [
    ("sources", {"name": "", "source_type_id": 1}, "name cannot be empty"),
    ("sources", {"name": "a"}, "source type id cannot be empty"),
    ("sources", {"name": "a", "source_type_id": 9999}, "source type id not found"),
    ("sources", {"name": "a", "source_type_id": "x"}, "source_type_id: must be a positive whole number"),
    ("sources", {"name": "a", "source_type_id": True}, "source_type_id: must be a positive whole number"),
    ("sources", {"name": "a", "source_type_id": 1.5}, "source_type_id: must be a positive whole number"),
    ("sources", {"name": "a", "source_type_id": 0}, "source_type_id: Input should be greater than"),
    ("sources", {"name": "a\0b", "source_type_id": 1}, "name: String should match pattern"),
    ("sources", {"name": "a" * 256, "source_type_id": 1}, "name: String should have at most 255"),
    ("sources", {"name": "a", "source_type_id": 1, "sorce_ref": "x"}, "sorce_ref: Extra inputs"),
    ("sources", {"name": "a", "source_type_id": 1, "availability_status": "fine"}, "availability_status"),
    ("applications", {"application_type_id": 1}, "missing required parameter source_id"),
    ("applications", {"source_id": 1}, "missing required parameter application_type_id"),
    ("applications", {"source_id": 9999, "application_type_id": 1}, "source id not found"),
    (
        "applications",
        {"source_id": 1, "application_type_id": 1, "extra": {"a": ["\0"]}},
        "extra: contains a NUL",
    ),
    ("endpoints", {"port": 1}, "the provided source ID is not valid"),
    ("endpoints", {"source_id": 9999}, "source id not found"),
    ("endpoints", {"source_id": 1, "host": "no dots"}, "the provided host is invalid"),
    ("endpoints", {"source_id": 1, "port": 70000}, "port: Input should be less than or equal to 65535"),
    ("endpoints", {"source_id": 1, "verify_ssl": True}, "the certificate authority cannot be empty"),
    ("authentications", {"resource_id": 1}, "resource_type is required"),
    ("authentications", {"resource_type": "Source"}, "resource_id is required"),
    ("authentications", {"resource_type": "Tenant", "resource_id": 1}, "resource_type must be one of"),
    ("authentications", {"resource_type": "Endpoint", "resource_id": 9999}, "endpoint id not found"),
]


async def test_bodies_that_cannot_be_used_are_refused_with_the_reason(sources: Sources, org: str) -> None:
    for kind, body, reason in BAD_BODIES:
        answer = await sources.post(kind, org, body)
        assert answer.status == 400, body
        assert answer.detail.startswith(f"bad request: Validation failed: {reason}"), answer.detail
    for kind in ("sources", "applications", "endpoints", "authentications"):
        assert (await sources.get(kind, org)).json["meta"]["count"] == 0
    assert await sources.events.of(org) == []


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "bad request: no body"),
        (b"{", "bad request: the body is not JSON"),
        (b"[]", "bad request: Validation failed"),
        (b"{}", "bad request: empty body"),
        (b"null", "bad request: empty body"),
        (b'{"name": null}', "bad request: empty body"),
        (b'{"name": "\xff"}', "bad request: the body is not JSON"),
    ],
)
async def test_bytes_that_are_no_object_are_refused(
    sources: Sources, org: str, raw: bytes, reason: str
) -> None:
    answer = await sources.request("POST", "sources", org, raw=raw)
    assert answer.status == 400
    assert answer.detail.startswith(reason)


async def test_a_body_has_a_limit(sources: Sources, org: str) -> None:
    answer = await sources.request("POST", "sources", org, raw=b" " * (600 * 1024))
    assert answer.status == 413
    assert answer.detail


async def test_an_application_must_suit_its_source(sources: Sources, org: str) -> None:
    source = await sources.source(org)
    body = {
        "source_id": source["id"],
        "application_type_id": await sources.type_id("/insights/platform/cloud-meter"),
    }
    answer = await sources.post("applications", org, body)
    assert answer.detail == (
        "bad request: Validation failed: source type is not compatible with this application type"
    )


async def test_names_and_clusters_are_registered_once_in_a_tenant(
    sources: Sources, org: str, other_org: str
) -> None:
    first = await sources.source(org, source_ref=CLUSTER)
    openshift = first["source_type_id"]
    taken = await sources.post("sources", org, {"name": first["name"], "source_type_id": openshift})
    assert taken.detail == "bad request: Validation failed: name already exists in tenant"
    taken = await sources.post(
        "sources", org, {"name": "b", "source_type_id": openshift, "source_ref": CLUSTER}
    )
    assert taken.detail == (
        "bad request: Validation failed: source_ref already exists in tenant for this source type"
    )
    await sources.source(org, "b", source_ref=CLUSTER, source_type_id=await sources.type_id("amazon"))
    await sources.source(other_org, source_ref=CLUSTER)
    # Sources with an empty reference do not collide; it is shown as it was sent.
    await sources.source(org, "c", source_ref="")
    third = await sources.source(org, "d", source_ref="")
    assert third["source_ref"] == ""
    assert "source_ref" not in await sources.source(org, "e")
    emptied = await sources.patch(f"sources/{first['id']}", org, {"source_ref": ""})
    assert (emptied.status, emptied.json["source_ref"]) == (200, "")
    await sources.patch(f"sources/{first['id']}", org, {"source_ref": CLUSTER})
    renamed = await sources.patch(f"sources/{third['id']}", org, {"name": "c"})
    assert renamed.detail == "bad request: Validation failed: name already exists in tenant"
    await sources.application(org, first["id"])
    again = await sources.post(
        "applications",
        org,
        {"source_id": first["id"], "application_type_id": await sources.type_id(COST)},
    )
    assert (
        again.detail == "bad request: Validation failed: the source already has an application of this type"
    )


@pytest.mark.parametrize("row_id", ["0", "-1", "x", "1.5", "1e3", "9" * 19, "9" * 30, "%00", "%D9%A1"])
async def test_an_id_must_be_a_positive_whole_number(sources: Sources, org: str, row_id: str) -> None:
    for path in (f"sources/{row_id}", f"source_types/{row_id}", f"sources/{row_id}/applications"):
        answer = await sources.get(path, org)
        assert (answer.status, answer.detail) == (400, "bad request: the ID must be a positive whole number")


async def test_what_is_not_there_is_404_with_its_name(sources: Sources, org: str) -> None:
    for kind in ("sources", "applications", "endpoints", "authentications"):
        for method, body in (("GET", None), ("PATCH", {}), ("DELETE", None)):
            answer = await sources.request(method, f"{kind}/999999", org, body)
            assert (answer.status, answer.detail) == (404, f"{kind.removesuffix('s')} not found")
    assert (await sources.get("source_types/999999")).detail == "source type not found"
    assert (await sources.get("/api/sources/v9/sources", org)).status == 404


async def test_a_cluster_may_register_itself_and_nothing_more(sources: Sources, org: str) -> None:
    header = identity(org, type="System", system={"cluster_id": CLUSTER})
    body = {"name": "cluster", "source_type_id": await sources.type_id("openshift")}
    source = await sources.post("sources", body=body, x_rh_identity=header)
    assert source.status == 201
    path = f"sources/{source.json['id']}"
    answer = await sources.request("PATCH", path, body={"name": "x"}, x_rh_identity=header)
    assert (answer.status, answer.detail) == (405, "Method not allowed")
    application = await sources.application(org, source.json["id"])
    path_of_application = f"applications/{application['id']}"
    assert (await sources.request("DELETE", path_of_application, x_rh_identity=header)).status == 405
    assert (await sources.request("DELETE", path, x_rh_identity=header)).status == 204
