"""The body of an upload, as senders make it and ingress reads it."""

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from headrace.web.multipart import file_form

CHUNKS = [b"\r\n--x", b"", b"\x1f\x8b" * 5000]
BYTES = b"".join(CHUNKS)


async def chunks():
    for chunk in CHUNKS:
        yield chunk


async def received(form):
    """Headers and body of the request that carries a form."""
    seen = {}

    async def keep(request):
        seen["headers"], seen["body"] = request.headers, await request.read()
        return web.Response(status=202)

    app = web.Application()
    app.router.add_post("/", keep)
    async with (
        TestServer(app) as server,
        aiohttp.ClientSession() as session,
        session.post(server.make_url("/"), data=form) as response,
    ):
        assert response.status == 202
    return seen["headers"], seen["body"]


@pytest.mark.parametrize("size", [len(BYTES), None])
async def test_the_file_is_the_only_part_and_its_name_stands_as_it_is(size):
    headers, body = await received(
        file_form(chunks(), file_name='ä "b".tgz', content_type="application/vnd.x+tgz", size_bytes=size)
    )

    kind, _, boundary = headers["Content-Type"].partition("; boundary=")
    assert kind == "multipart/form-data"
    assert headers.get("Content-Length") == (None if size is None else str(len(body)))
    head, _, rest = body.partition(b"\r\n\r\n")
    assert sorted(head.decode().split("\r\n")) == [
        f"--{boundary}",
        'Content-Disposition: form-data; name="file"; filename="ä \\"b\\".tgz"',
        "Content-Type: application/vnd.x+tgz",
    ]
    assert rest == BYTES + f"\r\n--{boundary}--\r\n".encode()


async def test_a_file_that_grew_is_sent_up_to_its_size_so_that_the_request_keeps_its_length():
    headers, body = await received(
        file_form(chunks(), file_name="a", content_type="application/gzip", size_bytes=100)
    )

    assert int(headers["Content-Length"]) == len(body)
    assert body.partition(b"\r\n\r\n")[2].startswith(BYTES[:100] + b"\r\n--")
