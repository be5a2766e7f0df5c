import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable

import aiohttp
import pytest
import structlog
from aiohttp import web
from aiohttp.typedefs import Middleware

from headrace.runtime.errors import ConfigurationError, Retryable
from headrace.runtime.health import Health
from headrace.web import listener
from headrace.web.admin import admin_app
from headrace.web.errors import Refusal, json_errors
from headrace.web.listener import Listener

Serve = Callable[[web.Application], Awaitable[str]]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    opened = []

    async def start(app: web.Application) -> str:
        opened.append(await Listener.open(app, "127.0.0.1", 0))
        return f"http://127.0.0.1:{opened[-1].port}"

    yield start
    for each in opened:
        await each.close()


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as opened:
        yield opened


async def test_readiness_names_what_is_not_well(serve: Serve, session: aiohttp.ClientSession):
    well, ill = Health(), Health()
    problem: list[str | None] = ["away"]
    ill.add("s3", lambda: problem[0])
    url = await serve(admin_app({"a": well, "b": ill}))
    async with session.get(f"{url}/health/ready") as response:
        assert response.status == 503
        assert await response.json() == {
            "ready": False,
            "services": {"a": {}, "b": {"s3": "away"}},
            "starting": ["b"],
        }
    problem[0] = None
    async with session.get(f"{url}/health") as response:
        assert response.status == 200
    async with session.get(f"{url}/health/live") as response:
        assert await response.text() == "lubdub"
    async with session.get(f"{url}/metrics") as response:
        assert "headrace_loop_lag_seconds" in await response.text()


async def test_failures_become_json(serve: Serve, session: aiohttp.ClientSession):
    async def fail(request: web.Request) -> web.Response:
        raise {"away": Retryable("S3 is away"), "odd": ValueError("secret detail")}[request.match_info["how"]]

    app = web.Application(middlewares=[json_errors(lambda status, text: {"status": status, "text": text})])
    app.router.add_get("/{how}", fail)
    url = await serve(app)
    for path, method, status, text in (
        ("away", "GET", 503, "S3 is away"),
        ("odd", "GET", 500, "Internal Server Error"),
        ("away/x", "GET", 404, "404: Not Found"),
        ("away", "POST", 405, "405: Method Not Allowed"),
    ):
        async with session.request(method, f"{url}/{path}") as response:
            assert (response.status, await response.json()) == (status, {"status": status, "text": text})
            assert ("Retry-After" in response.headers) == (status == 503)
            assert ("Allow" in response.headers) == (status == 405)


PLAIN = Refusal(409, "taken", headers={"Allow": "GET"})
OWN = Refusal(422, "", body={"detail": [1]})


@pytest.mark.parametrize(
    ("raised", "status", "body", "header"),
    [
        (PLAIN, 409, {"text": "taken"}, ("Allow", "GET")),
        (OWN, 422, {"detail": [1]}, None),
        (Refusal(503, "full"), 503, {"text": "full"}, ("Retry-After", "5")),
        (KeyError("mine"), 400, {"text": "'mine'"}, None),
        (ArithmeticError("secret"), 500, {"text": "Internal Server Error"}, None),
        (web.HTTPRequestEntityTooLarge(1, 2, text="too long"), 413, {"text": "too long"}, None),
    ],
    ids=lambda value: type(value).__name__,
)
async def test_a_refusal_is_answered_in_the_form_of_its_api(
    serve: Serve,
    session: aiohttp.ClientSession,
    raised: Exception,
    status: int,
    body: object,
    header: tuple[str, str] | None,
):
    async def refuse(_request: web.Request) -> web.Response:
        raise raised

    app = web.Application(middlewares=[json_errors(lambda _, text: {"text": text}, bad_requests=(KeyError,))])
    app.router.add_get("/", refuse)
    async with session.get(await serve(app)) as response:
        assert (response.status, await response.json()) == (status, body)
        assert header is None or response.headers[header[0]] == header[1]


@pytest.mark.parametrize(
    "middlewares", [[], [json_errors(lambda status, text: {"text": text})]], ids=["plain", "JSON"]
)
async def test_a_client_that_hangs_up_amid_an_answer_is_no_error_of_ours(
    serve: Serve,
    session: aiohttp.ClientSession,
    caplog: pytest.LogCaptureFixture,
    middlewares: list[Middleware],
):
    ended: asyncio.Future[BaseException] = asyncio.get_running_loop().create_future()

    async def pour(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while True:
                await response.write(b"water" * 1000)
        except BaseException as error:
            ended.set_result(error)
            raise

    app = web.Application(middlewares=middlewares)
    app.router.add_get("/", pour)
    url = await serve(app)
    with structlog.testing.capture_logs() as lines:
        async with session.get(url) as response:
            await response.content.readexactly(5)
        assert isinstance(await asyncio.wait_for(ended, 10), ConnectionError)
        async with session.get(f"{url}/elsewhere") as response:
            assert response.status == 404
    assert lines == []
    assert [record.getMessage() for record in caplog.records if record.levelno > logging.INFO] == []


@pytest.mark.parametrize(
    "middlewares", [[], [json_errors(lambda status, text: {"text": text})]], ids=["plain", "JSON"]
)
async def test_a_connection_of_ours_that_is_reset_is(
    serve: Serve,
    session: aiohttp.ClientSession,
    caplog: pytest.LogCaptureFixture,
    middlewares: list[Middleware],
):
    async def ask_another(_request: web.Request) -> web.StreamResponse:
        raise ConnectionResetError("by the other")

    app = web.Application(middlewares=middlewares)
    app.router.add_get("/", ask_another)
    url = await serve(app)
    async with session.get(url) as response:
        assert response.status == 500


async def test_a_taken_port_is_said_in_one_line():
    first = await Listener.open(web.Application(), "127.0.0.1", 0)
    with pytest.raises(ConfigurationError, match=f"cannot listen on 127.0.0.1:{first.port}: "):
        await Listener.open(web.Application(), "127.0.0.1", first.port)
    await first.close()


@pytest.mark.parametrize("name", ["x-rh-identity", "cookie"])
async def test_a_huge_header_is_refused(serve: Serve, session: aiohttp.ClientSession, name: str):
    url = await serve(admin_app({}))
    async with session.get(url, headers={name: "x" * (listener.MAX_HEADER_BYTES - 100)}) as response:
        assert response.status == 200
    async with session.get(url, headers={name: "x" * (listener.MAX_HEADER_BYTES + 100)}) as response:
        assert response.status == 400


async def test_a_header_line_of_20_kib_is_taken(serve: Serve, session: aiohttp.ClientSession):
    url = await serve(admin_app({}))
    async with session.get(url, headers={"x-long": "x" * 20_480}) as response:
        assert response.status == 200


@pytest.mark.parametrize(
    ("head", "why"),
    [
        (b"G@T / HTTP/1.1\r\nHost: a\r\n\r\n", "the method is not an HTTP method"),
        (b"GET / HTTP/9.9\r\nHost: a\r\n\r\n", "the request line is malformed"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX\0: a\r\n\r\n", ""),
        (b"GET / HTTP/1.1\r\nHost: a\r\njunk\r\n\r\n", ""),
        (
            b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
            "the request line is longer than 8192 bytes",
        ),
        (
            b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 40_000 + b"\r\n\r\n",
            "or a header is longer than 32768",
        ),
        (b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: z\r\n\r\n", ""),
        (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: a\r\n" * 200 + b"\r\n", ""),
        (b"\x16\x03\x01\x02\0\x01\r\n\r\n", ""),
    ],
)
async def test_a_malformed_request_is_not_answered_in_pythons_words(serve: Serve, head: bytes, why: str):
    url = await serve(admin_app({}))
    reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
    writer.write(head)
    async with asyncio.timeout(60):
        answer = (await reader.read()).decode()
    writer.close()
    first, _, text = answer.partition("\r\n\r\n")
    assert first.splitlines()[0].endswith("400 Bad Request")
    assert text.startswith(("Bad Request: the ", "Bad Request: a "))
    assert why in text
    assert not any(sign in text for sign in ("b'", 'b"', "bytearray", "^", "Got more", "encountered"))


async def test_a_connection_that_sends_no_whole_head_is_dropped(serve: Serve, monkeypatch):
    monkeypatch.setattr(listener, "KEEPALIVE_SECONDS", 0.3)
    url = await serve(admin_app({}))
    reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n")
    async with asyncio.timeout(60):
        assert await reader.read() == b""
    writer.close()


async def test_what_is_in_flight_ends_before_the_listener_does():
    entered, leave = asyncio.Event(), asyncio.Event()

    async def slow(_request: web.Request) -> web.Response:
        entered.set()
        await leave.wait()
        return web.Response(text="done")

    app = web.Application()
    app.router.add_get("/", slow)
    opened = await Listener.open(app, "127.0.0.1", 0)
    async with aiohttp.ClientSession() as session:
        asked = asyncio.create_task(session.get(f"http://127.0.0.1:{opened.port}/"))
        await entered.wait()
        closing = asyncio.create_task(opened.close())
        await asyncio.sleep(0)
        leave.set()
        async with await asked as response:
            assert await response.text() == "done"
        await closing
