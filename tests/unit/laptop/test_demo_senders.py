"""What the demonstration asks of the stack while a sender's upload is on its way."""

import aiohttp
from aiohttp import web
from aiohttp.test_utils import TestServer

from headrace.laptop.demo_senders import Senders
from headrace.laptop.following import Flow


async def test_an_upload_that_the_tracker_does_not_know_yet_has_no_archive():
    asked = []

    async def answer(request):
        asked.append(request.path)
        # The archiver, which needs to know whose archives it is asked for, is not asked.
        return web.Response(status=404 if "payloads" in request.path else 401)

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    async with TestServer(app) as server, aiohttp.ClientSession() as session:
        url = str(server.make_url(""))
        senders = Senders(None, None, None, Flow(session, url, url), None)
        assert await senders.archives("r1") == []
    assert asked == ["/api/v1/payloads/r1"]
