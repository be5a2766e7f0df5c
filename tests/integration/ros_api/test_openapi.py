"""The document that the API serves says what the API does: made-up requests, checked against it."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
import schemathesis
from aiohttp import web

from headrace_services.ros_api.api import Api as RosApi
from headrace_services.ros_api.settings import RosApiSettings
from tests.integration.ros_api.harness import OPENSHIFT, Api, identity, open_api
from tests.openapi import ABSENT, Conformance, Served

pytestmark = pytest.mark.asyncio(loop_scope="module")

ORG_ID = "org-openapi"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def api(postgres_url: str) -> AsyncIterator[Api]:
    async with open_api(postgres_url) as opened:
        tenant = await opened.tenant(ORG_ID)
        await tenant.app()
        await tenant.namespace("project")
        yield opened


@pytest.fixture
def served(api: Api) -> Served:
    return Served(api.url, {"X-Rh-Identity": identity(ORG_ID)})


class TestRosApi(Conformance):
    """A value asked for and excluded at once is 400, which a schema cannot say; what is no number is no limit, and
    parameters that nobody knows are ignored: clients rely on it.
    """

    document_path = f"{OPENSHIFT}/openapi.json"
    examples = 15
    operations = frozenset({
        "getStatus", "getOpenapi", "getRecommendationList", "getRecommendationById", "getContainerList",
        "getContainerById", "getNamespaceList", "getNamespaceById", "getStoredRecommendations", "getWorkloads",
        "getPolledWorkloads", "getUsage", "getPastRecommendations",
    })  # fmt: skip

    def application(self) -> web.Application:
        return RosApi(ABSENT, RosApiSettings()).application()


@pytest.mark.parametrize("path", ["", "/container", "/namespace"])
async def test_full_answers_are_in_the_document_too(api: Api, path: str) -> None:
    document = (await api.get(f"{OPENSHIFT}/openapi.json")).json
    schema = schemathesis.openapi.from_dict(document)
    answer = await api.get(f"{OPENSHIFT}{path}", ORG_ID)
    (item,) = answer.data
    check(schema, f"{OPENSHIFT}{path}", answer.json)
    detail = await api.get(f"{OPENSHIFT}{path}/{item['id']}", ORG_ID, all_time=False)
    check(schema, f"{OPENSHIFT}{path}/{{recommendation_id}}", detail.json)


def check(schema: Any, path: str, body: Any) -> None:
    import jsonschema_rs

    raw = schema.raw_schema
    wanted = raw["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    jsonschema_rs.Draft4Validator(wanted | {"components": raw["components"]}).validate(body)


async def test_the_document_names_every_route_and_needs_no_identity(api: Api) -> None:
    answer = await api.get(f"{OPENSHIFT}/openapi.json")
    assert answer.status == 200
    parameters = {item["name"] for item in answer.json["paths"][OPENSHIFT]["get"]["parameters"]}
    assert {"filter[exact:workload_type]", "exclude[cluster]", "memory-unit", "true-units"} <= parameters
    order_by = next(
        item for item in answer.json["paths"][OPENSHIFT]["get"]["parameters"] if item["name"] == "order_by"
    )
    assert len([name for name in order_by["schema"]["enum"] if "_variation_" in name]) == 12
