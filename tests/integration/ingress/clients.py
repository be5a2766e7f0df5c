"""Programs that upload, each by its own means: two in Go, curl, requests, httpx, aiohttp."""

import asyncio
import hashlib
import io
import json
import shutil
import ssl
import subprocess
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import httpx
import pytest
import requests

from headrace.local.install import cache_directory

SOURCES = Path(__file__).parents[2] / "clients"
NAME = "payload.tar.gz"
BUILD_SECONDS = 280
SECONDS = 120
# Nobody here speaks TLS, and each client would read the certificates of all the world.
NO_CERTIFICATES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


@dataclass(frozen=True)
class Upload:
    """What is sent: to whom, of what type, and how the sender says who it is.

    ``user_agent`` is None for the client's own, empty for none; ``basic`` is given to the client's own means for it.
    """

    url: str
    type: str
    data: bytes
    headers: dict[str, str] = field(default_factory=dict)
    user_agent: str | None = None
    basic: tuple[str, str] | None = None

    @property
    def sent(self) -> dict[str, str]:
        return self.headers | ({} if self.user_agent is None else {"User-Agent": self.user_agent})


Client = Callable[[Upload], Awaitable[tuple[int, str]]]


def go_client(name: str, *options: str) -> Client:
    async def send(upload: Upload) -> tuple[int, str]:
        arguments = [*options, "-url", upload.url, "-type", upload.type]
        for header in upload.sent.items():
            arguments += ["-header", ": ".join(header)]
        if upload.basic:
            arguments += ["-basic", ":".join(upload.basic)]
        answer = json.loads(await run(go_programs() / name, *arguments, given=upload.data))
        return answer["status"], answer["text"]

    return send


def go_programs() -> Path:
    """The directory of both, built once for each state of their sources."""
    sources = sorted(path for path in SOURCES.rglob("*") if path.suffix in {".go", ".mod"})
    state = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:12]
    target = cache_directory() / f"clients-{state}"
    if not target.exists():
        go = shutil.which("go")
        if go is None:
            pytest.skip("no Go to build the clients with")
        target.parent.mkdir(parents=True, exist_ok=True)
        # Whoever is first puts its own in place; what another has built meanwhile is the same.
        with tempfile.TemporaryDirectory(dir=target.parent) as made:
            command = [
                go,
                "build",
                "-trimpath",
                "-ldflags=-s",
                "-o",
                f"{made}/bin/",
                "./operator",
                "./standard",
            ]
            subprocess.run(command, cwd=SOURCES, check=True, timeout=BUILD_SECONDS)
            if not target.exists():
                Path(made, "bin").rename(target)
    return target


async def curl(upload: Upload) -> tuple[int, str]:
    arguments = ["-sS", "-w", "\n%{http_code}", "-F", f"file=@-;type={upload.type};filename={NAME}"]
    for name, value in upload.headers.items():
        arguments += ["-H", f"{name}: {value}"]
    if upload.user_agent is not None:
        arguments += ["-A", upload.user_agent]
    if upload.basic:
        arguments += ["-u", ":".join(upload.basic)]
    text, _, status = (await run("curl", *arguments, upload.url, given=upload.data)).rpartition("\n")
    return int(status), text


async def by_requests(upload: Upload) -> tuple[int, str]:
    def send() -> tuple[int, str]:
        files = {"file": (NAME, upload.data, upload.type)}
        answer = requests.post(
            upload.url, files=files, headers=upload.sent, auth=upload.basic, timeout=SECONDS
        )
        return answer.status_code, answer.text

    return await asyncio.to_thread(send)


async def by_httpx(upload: Upload) -> tuple[int, str]:
    async with httpx.AsyncClient(timeout=SECONDS, verify=NO_CERTIFICATES) as client:
        files = {"file": (NAME, upload.data, upload.type)}
        answer = await client.post(
            upload.url, files=files, headers=upload.sent, auth=upload.basic or httpx.USE_CLIENT_DEFAULT
        )
        return answer.status_code, answer.text


async def by_aiohttp(upload: Upload) -> tuple[int, str]:
    form = aiohttp.FormData()
    form.add_field("file", io.BytesIO(upload.data), filename=NAME, content_type=upload.type)
    basic = {"Authorization": aiohttp.encode_basic_auth(*upload.basic)} if upload.basic else {}
    async with (
        aiohttp.ClientSession() as session,
        session.post(upload.url, data=form, headers=upload.sent | basic) as answer,
    ):
        return answer.status, await answer.text()


async def run(program: str | Path, *arguments: str, given: bytes) -> str:
    process = await asyncio.create_subprocess_exec(
        str(program), *arguments,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    async with asyncio.timeout(SECONDS):
        out, errors = await process.communicate(given)
    assert process.returncode == 0, errors.decode()
    return out.decode()


CLIENTS: dict[str, Client] = {
    "cost operator (Go)": go_client("operator"),
    "insights operator (Go, streamed)": go_client("operator", "-stream"),
    "net/http (Go)": go_client("standard"),
    "curl": curl,
    "requests": by_requests,
    "httpx": by_httpx,
    "aiohttp": by_aiohttp,
}
