from typing import Any

import pytest

from tests.integration.sources_api.harness import COST, Sources, types, value

pytestmark = pytest.mark.asyncio(loop_scope="module")


def whole(name: str = "cluster") -> dict[str, Any]:
    return {
        "sources": [{"name": name, "source_type_name": "openshift", "source_ref": name}],
        "applications": [{"application_type_name": COST, "source_name": name, "extra": {"a": 1}}],
        "endpoints": [{"host": "api.example.com", "source_name": name}],
        "authentications": [
            {
                "resource_type": "application",
                "resource_name": COST,
                "authtype": "token",
                "password": "s3cret",
            },
            {"resource_type": "endpoint", "resource_name": "API.example"},
            {"resource_type": "source", "resource_name": name, "username": "u"},
        ],
    }


async def test_all_is_created_linked_and_told_in_order(sources: Sources, org: str) -> None:
    answer = await sources.post("bulk_create", org, whole())
    assert answer.status == 201, answer.text
    assert "s3cret" not in answer.text
    created = answer.json
    (source,), (application,), (endpoint,) = (
        created["sources"],
        created["applications"],
        created["endpoints"],
    )
    assert application["source_id"] == endpoint["source_id"] == source["id"]
    assert application["extra"] == {"a": 1}
    holders = [(item["resource_type"], item["resource_id"]) for item in created["authentications"]]
    assert holders == [
        ("Application", application["id"]),
        ("Endpoint", endpoint["id"]),
        ("Source", source["id"]),
    ]
    for kind in created:
        assert (await sources.get(kind, org)).json["data"] == created[kind]
    records = await sources.events.exactly(org, 7)
    assert types(records) == [
        "Source.create",
        "Endpoint.create",
        "Application.create",
        "ApplicationAuthentication.create",
        *["Authentication.create"] * 3,
    ]
    link = value(records[3])
    assert (link["application_id"], link["authentication_id"]) == (
        int(application["id"]),
        int(created["authentications"][0]["id"]),
    )
    assert not any(b"s3cret" in record.value for record in records)


async def test_what_is_there_already_is_added_to(sources: Sources, org: str) -> None:
    source = await sources.source(org, "there")
    body = {
        "applications": [{"application_type_id": await sources.type_id(COST), "source_name": "there"}],
        "authentications": [{"resource_type": "Source", "resource_name": source["id"]}],
    }
    answer = await sources.post("bulk_create", org, body)
    assert answer.status == 201
    assert answer.json["sources"] == []
    assert answer.json["applications"][0]["source_id"] == source["id"]
    assert answer.json["authentications"][0]["resource_id"] == source["id"]


async def test_types_are_found_by_a_part_of_their_name(sources: Sources, org: str) -> None:
    body = {
        "sources": [{"name": "cluster", "source_type_name": "shift"}],
        "applications": [{"application_type_name": "cost-management", "source_name": "cluster"}],
        "authentications": [{"resource_type": "application", "resource_name": "cost-management"}],
    }
    answer = await sources.post("bulk_create", org, body)
    assert answer.status == 201, answer.text
    (source,), (application,) = answer.json["sources"], answer.json["applications"]
    assert source["source_type_id"] == await sources.type_id("openshift")
    assert application["application_type_id"] == await sources.type_id(COST)
    assert answer.json["authentications"][0]["resource_id"] == application["id"]


def without_type() -> dict[str, Any]:
    body = whole()
    del body["sources"][0]["source_type_name"]
    return body


BAD = [
    (without_type(), "no source type present, need either source_type_name or source_type_id"),
    (
        whole() | {"sources": [{"name": "cluster", "source_type_name": "abacus"}]},
        "source_type_name: 'abacus' does not exist",
    ),
    (whole() | {"sources": [{"source_type_name": "openshift"}]}, "sources.0: name cannot be empty"),
    (whole() | {"sources": whole()["sources"] * 2}, "name already exists in tenant"),
    (whole() | {"applications": [{"source_name": "cluster"}]}, "no application type present"),
    (
        whole() | {"applications": [{"application_type_name": COST, "source_name": "other"}]},
        "source_name: no source is called 'other'",
    ),
    (
        whole()
        | {
            "applications": [
                {"application_type_name": "/insights/platform/cloud-meter", "source_name": "cluster"}
            ]
        },
        "source type is not compatible with this application type",
    ),
    (whole() | {"endpoints": [{"source_name": "cluster", "host": "-"}]}, "endpoints.0: the provided host"),
    (
        whole() | {"authentications": [{"resource_type": "application", "resource_name": "/x"}]},
        "resource_name: no application of this request is called '/x'",
    ),
    (whole() | {"authentications": [{"resource_name": "cluster"}]}, "resource_type is required"),
    (
        whole() | {"sources": [{"name": "a", "source_type_name": "ibm"}] * 201},
        "sources: List should have at most 200",
    ),
]


async def test_nothing_is_created_where_one_part_is_wrong(sources: Sources, org: str) -> None:
    for body, reason in BAD:
        answer = await sources.post("bulk_create", org, body)
        assert answer.status == 400, reason
        assert reason in answer.detail, answer.detail
        for kind in ("sources", "applications", "endpoints", "authentications"):
            assert (await sources.get(kind, org)).ids == [], reason
    # What comes after is the tenant's first event.
    await sources.source(org, "after")
    assert types(await sources.events.exactly(org, 1)) == ["Source.create"]
