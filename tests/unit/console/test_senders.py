"""What the console asks of senders: their own API, and what they tell in health reports."""

import aiohttp
import pytest
from aiohttp import web

from headrace.runtime.errors import Permanent, Retryable
from headrace_services.console.api_flow import Health
from headrace_services.console.flow import HELD, WELL
from headrace_services.console.peers import AssistedEvents, peer
from tests.serving import serving

WELL_REPORT = {"ready": True, "services": {"koku": {}}}
ILL_REPORT = {
    "ready": False,
    "services": {"ols_collector": {"collects": "401"}, "segment_bridge": {}},
    "facts": {"ols_collector": {"collector": {"cycles": 3}}},
}


async def health_of(*answers, read):
    async def answer(request: web.Request) -> web.Response:
        status, body = answers[int(request.match_info["number"])]
        return web.json_response(body, status=status)

    app = web.Application()
    app.router.add_get("/{number}", answer)
    async with serving(app) as url, aiohttp.ClientSession() as session:
        return await read(Health(session, [f"{url}/{number}" for number in range(len(answers))]))


async def test_facts_come_from_every_report_also_of_what_is_not_well():
    reports = ((200, WELL_REPORT), (503, ILL_REPORT), (200, ["no report"]))
    facts = await health_of(*reports, read=Health.facts)
    assert facts == {"koku": {}, "ols_collector": {"collector": {"cycles": 3}}, "segment_bridge": {}}
    states = await health_of(*reports, read=Health.states)
    assert {name: state.state for name, state in states.items()} == {
        "koku": WELL, "ols_collector": HELD, "segment_bridge": WELL,
    }  # fmt: skip


async def test_no_report_at_all_is_told():
    with pytest.raises(Retryable, match="no health report can be read"):
        await health_of((200, {"services": []}), (404, None), read=Health.facts)


@pytest.mark.parametrize(("token", "sent"), [("secret", "Bearer secret"), ("", None)])
async def test_the_token_is_sent_and_never_shown(token, sent):
    asked = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request.headers.get("Authorization"))
        return web.json_response({"message": "the token differs"}, status=401)

    app = web.Application()
    app.router.add_get("/api/assisted-events/v1/sendings", answer)
    async with serving(app) as url, aiohttp.ClientSession() as session:
        assisted = AssistedEvents(peer(session, url, "assisted_events"), token)
        with pytest.raises(Permanent, match="assisted_events answered 401"):
            await assisted.sendings({})
    assert asked == [sent]
    assert "secret" not in repr(assisted)
