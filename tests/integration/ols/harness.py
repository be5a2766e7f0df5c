"""The service in this process, and stand-ins for what it asks: an LLM, a cluster's API."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web

from headrace.local.ports import EnginePorts
from headrace.runtime.settings import EngineSettings
from tests.answers import Answer as AnyAnswer
from tests.processes import ServiceProcess
from tests.service import Running, named, open_client, own, running, url_of
from tests.serving import serving

NOBODY = "00000000-0000-0000-0000-000000000000"
CONVERSATION = "12345678-abcd-0000-0123-456789abcdef"
FEEDBACK: dict[str, Any] = {
    "conversation_id": CONVERSATION,
    "user_question": "what are you doing?",
    "llm_response": "I don't know",
    "sentiment": -1,
}
# Read at start: one that stayed set would be this service's too.
VARIABLES = (
    "OLS_CONFIG_FILE", "OLS_USER_DATA_PATH", "OLS_AUTHENTICATION", "OLS_TOKENS", "OLS_LLM_URL", "OLS_LLM_MODEL",
    "OLS_LLM_API_KEY", "OLS_LLM_API_KEY_FILE", "KUBERNETES_SERVICE_HOST", "OLS_K8S_API",
)  # fmt: skip


class Answer(AnyAnswer):
    @property
    def detail(self) -> Any:
        assert set(self.json) == {"detail"}
        return self.json["detail"]

    @property
    def events(self) -> list[dict[str, Any]]:
        lines = self.text.split("\n\n")
        assert lines.pop() == ""
        assert all(line.startswith("data: ") for line in lines)
        return [json.loads(line.removeprefix("data: ")) for line in lines]


@dataclass
class Ols(Running[Answer]):
    answer = Answer
    unsent = ("Content-Type",)

    root: Path

    async def call(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """`body` goes as JSON unless it is bytes; headers with `_` for `-`."""
        sent = named(headers)
        if body is not None:
            sent.setdefault("Content-Type", "application/json")
        return await self.send_request(method, path, body=body, headers=sent)

    async def get(self, path: str) -> Answer:
        return await self.call("GET", path)

    async def ask(self, query: str, *, path: str = "/v1/query", **body: Any) -> Answer:
        return await self.call("POST", path, {"query": query} | body)

    async def feedback(self, *without: str, **changes: Any) -> Answer:
        body = FEEDBACK | changes
        return await self.call("POST", "/v1/feedback", {key: body[key] for key in body if key not in without})

    def files(self, kind: str) -> list[Path]:
        """Every file below a storage, whatever its name."""
        return sorted(path for path in (self.root / kind).rglob("*") if path.is_file())

    def records(self, kind: str) -> list[dict[str, Any]]:
        assert {path.suffix for path in self.files(kind)} <= {".json"}
        return [json.loads(path.read_bytes()) for path in self.files(kind)]


@asynccontextmanager
async def open_ols(
    root: Path, *, config: str = "", lenient: bool = True, body_seconds: float = 30.0, **environment: str
) -> AsyncIterator[Ols]:
    """With a configuration file whose `ROOT` is the root, else with everything kept below the root."""
    variables = dict(environment)
    if config:
        variables["OLS_CONFIG_FILE"] = write_config(root, config)
    else:
        variables.setdefault("OLS_USER_DATA_PATH", str(root))
    async with (
        running(
            [own("ols")], EngineSettings(), without=VARIABLES, environment=variables,
            lenient=lenient, stop_seconds=5.0, body_seconds=body_seconds,
        ) as host,
        open_client() as session,
    ):  # fmt: skip
        yield Ols(url_of(host), session, root)


@asynccontextmanager
async def open_process(
    root: Path, *, config: str = "", **environment: str
) -> AsyncIterator[tuple[Ols, ServiceProcess]]:
    """As a process of its own, with the same choice of configuration; its log is beside the root."""
    base = EnginePorts.random().kafka
    variables = dict.fromkeys(VARIABLES, "") | {"OLS_PORT": str(base)}
    if config:
        variables["OLS_CONFIG_FILE"] = write_config(root, config)
    else:
        variables |= {"OLS_USER_DATA_PATH": str(root), "OLS_AUTHENTICATION": "noop"}
    process = ServiceProcess(("ols",), variables | environment, base + 1, root.parent / "ols.log")
    await process.start(ready_within_seconds=60)
    try:
        async with open_client() as session:
            yield Ols(f"http://127.0.0.1:{base}", session, root), process
    finally:
        await process.stop()


def write_config(root: Path, config: str) -> str:
    path = root.parent / "olsconfig.yaml"
    path.write_text(config.replace("ROOT", str(root)), encoding="utf-8")
    return str(path)


Script = Callable[[web.Request], Awaitable[web.StreamResponse]]


def completion(text: str, **usage: Any) -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    return {"object": "chat.completion", "choices": [choice]} | ({"usage": usage} if usage else {})


def delta(text: str | None, reason: str | None = None) -> dict[str, Any]:
    content = {} if text is None else {"content": text}
    return {
        "object": "chat.completion.chunk",
        "choices": [{"index": 0, "delta": content, "finish_reason": reason}],
    }


@dataclass
class Llm:
    """Answers chat completions; `script` holds what to do instead, one entry a request."""

    url: str = ""
    pieces: tuple[str, ...] = ("Scale it ", "with oc scale.")
    script: list[Script] = field(default_factory=list)
    bodies: list[dict[str, Any]] = field(default_factory=list)
    authorizations: list[str | None] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.bodies.append(await request.json())
        self.authorizations.append(request.headers.get("Authorization"))
        if self.script:
            return await self.script.pop(0)(request)
        if not self.bodies[-1]["stream"]:
            return web.json_response(completion("".join(self.pieces), prompt_tokens=11, completion_tokens=7))
        events = [*(delta(piece) for piece in self.pieces), delta(None, "stop")]
        return await send_events(request, *(json.dumps(event) for event in events), "[DONE]")


async def send_events(request: web.Request, *events: str) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    await response.write(b": a comment\n\n")
    for event in events:
        await response.write(f"data: {event}\n\n".encode())
    return response


def answers(status: int, text: str = "") -> Script:
    async def script(request: web.Request) -> web.StreamResponse:
        return web.Response(status=status, text=text)

    return script


async def hangs(request: web.Request) -> web.StreamResponse:
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.sleep(60)
    return web.Response()


async def breaks_off(request: web.Request) -> web.StreamResponse:
    response = await send_events(request, json.dumps(delta("half an ")))
    request.transport.close()
    return response


@asynccontextmanager
async def serving_llm() -> AsyncIterator[Llm]:
    llm = Llm()
    app = web.Application(client_max_size=16 << 20)
    app.router.add_post("/v1/chat/completions", llm.handle)
    async with serving(app) as url:
        llm.url = f"{url}/v1"
        yield llm
