"""What a browser on another site asks and sees."""

import aiohttp
import pytest

from tests.integration.ros_api.harness import NAMESPACE, OPENSHIFT, Api, Tenant, identity

pytestmark = pytest.mark.asyncio(loop_scope="module")

ORIGIN = {"Origin": "https://console.example"}


async def asked(
    api: Api, method: str, path: str, headers: dict[str, str], org_id: str = ""
) -> aiohttp.ClientResponse:
    sent = headers | ({"X-Rh-Identity": identity(org_id)} if org_id else {})
    async with api.session.request(method, f"{api.url}{path}", headers=sent) as response:
        await response.read()
        return response


@pytest.mark.parametrize("path", [OPENSHIFT, f"{NAMESPACE}/x", "/status", "/nowhere"])
async def test_a_browser_may_show_every_answer_to_any_site(api: Api, tenant: Tenant, path: str):
    answer = await asked(api, "GET", path, ORIGIN, tenant.org_id)
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert answer.headers.getall("Vary") == ["Origin"]
    plain = await asked(api, "GET", path, {}, tenant.org_id)
    assert plain.status == answer.status
    assert plain.headers.getall("Vary") == ["Origin"]
    assert not [name for name in plain.headers if name.startswith("Access-Control")]


async def test_a_streamed_answer_is_open_too(api: Api, tenant: Tenant):
    for number in range(6):
        await tenant.app(f"container-{number}")
    answer = await asked(
        api, "GET", f"{OPENSHIFT}?limit=-1&start_date=2000-01-01&format=csv", ORIGIN, tenant.org_id
    )
    assert (answer.status, answer.headers.get("Content-Length")) == (200, None)
    assert answer.headers["Access-Control-Allow-Origin"] == "*"


@pytest.mark.parametrize("path", [OPENSHIFT, f"{OPENSHIFT}/x", "/status", "/nowhere"])
async def test_what_a_browser_asks_first_is_answered_on_every_path(api: Api, path: str):
    asking = ORIGIN | {
        "Access-Control-Request-Method": "GET",
        "Access-Control-Request-Headers": "x-rh-identity",
    }
    answer = await asked(api, "OPTIONS", path, asking)
    assert answer.status == 204
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert answer.headers["Access-Control-Allow-Methods"] == "GET"
    assert answer.headers["Access-Control-Allow-Headers"] == "x-rh-identity"
    assert set(answer.headers.getall("Vary")) == {
        "Origin", "Access-Control-Request-Method", "Access-Control-Request-Headers"
    }  # fmt: skip
    assert answer.headers.get("Allow") == (None if path == "/nowhere" else "OPTIONS, GET")
    plain = await asked(api, "OPTIONS", path, {})
    assert plain.status == 204
    assert "Access-Control-Allow-Origin" not in plain.headers
