"""How an upload goes over the wire, against an HTTP server that records it."""

import socket

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from headrace.contracts.headers import REQUEST_ID_HEADER
from headrace.laptop.ingress_client import IngressClient
from headrace.laptop.uploads import Upload
from headrace.runtime.errors import Permanent, Retryable

ACCEPTED = (202, {"request_id": "r1", "upload": {"org_id": "7"}}, {})


class Recorder:
    """Answers uploads as told, the last answer again and again."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.requests = []

    async def handle(self, request):
        part = await (await request.multipart()).next()
        seen = (part.name, part.filename, part.headers["Content-Type"], bytes(await part.read()))
        self.requests.append((dict(request.headers), seen))
        status, body, headers = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return web.json_response(body, status=status, headers=headers)


async def send(recorder, upload, sent=lambda _: None):
    app = web.Application()
    app.router.add_post("/api/ingress/v1/upload", recorder.handle)
    async with TestServer(app) as server, aiohttp.ClientSession() as session:
        return await IngressClient(session, str(server.make_url("/"))).send(upload, sent)


@pytest.fixture
def upload(tmp_path):
    file = tmp_path / 'a "quoted" name.tgz'
    file.write_bytes(bytes(range(256)) * 4096)
    return Upload(path=file, content_type="application/x-test", headers={"x-own": "1"}, request_id="r1")


async def test_file_goes_whole_with_its_length_type_and_id(upload):
    recorder, progress = Recorder(ACCEPTED), []
    acceptance = await send(recorder, upload, progress.append)
    headers, (field, name, content_type, body) = recorder.requests[0]
    assert (acceptance.request_id, acceptance.status, acceptance.org_id) == ("r1", 202, "7")
    assert (field, content_type) == ("file", "application/x-test")
    assert name == upload.path.name
    assert body == upload.path.read_bytes()
    assert int(headers["Content-Length"]) > upload.size_bytes
    assert "Transfer-Encoding" not in headers
    assert (headers[REQUEST_ID_HEADER], headers["x-own"]) == ("r1", "1")
    assert sum(progress) == upload.size_bytes


@pytest.mark.parametrize("status", [429, 503])
async def test_busy_ingress_is_tried_again_with_the_same_request_id(status, upload):
    recorder = Recorder((status, {}, {"Retry-After": "0"}), ACCEPTED)
    acceptance = await send(recorder, upload)
    ids = [headers[REQUEST_ID_HEADER] for headers, _ in recorder.requests]
    assert (acceptance.status, ids) == (202, ["r1", "r1"])


async def test_retry_after_beyond_the_budget_is_not_waited_for(upload):
    recorder = Recorder((503, {"why": "resting"}, {"Retry-After": "3600"}))
    with pytest.raises(Retryable, match=r"answered 503 for .*resting"):
        await send(recorder, upload)
    assert len(recorder.requests) == 1


async def test_refusal_is_final_and_keeps_its_reason(upload):
    recorder = Recorder((413, {"why": "too large"}, {}))
    with pytest.raises(Permanent, match=r"answered 413 for .*too large"):
        await send(recorder, upload)
    assert len(recorder.requests) == 1


async def test_nobody_there_is_said_so(upload):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    async with aiohttp.ClientSession() as session:
        with pytest.raises(Retryable, match=rf"the ingress at http://127.0.0.1:{port} does not answer"):
            await IngressClient(session, f"http://127.0.0.1:{port}").send(upload)
