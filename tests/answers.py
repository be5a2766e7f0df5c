"""What a server answered."""

import asyncio
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Answer:
    """Status, headers and body; a service whose bodies have a form of their own adds how to read it."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode()

    @property
    def json(self) -> Any:
        """The body, parsed."""
        return json.loads(self.body)


async def raw_status(url: str, path: str, headers: Iterable[tuple[str, str]], method: str = "GET") -> int:
    """The status of what `raw_answer` sends."""
    return (await raw_answer(url, path, headers, method))[0]


async def raw_answer(
    url: str, path: str, headers: Iterable[tuple[str, str]], method: str = "GET"
) -> tuple[int, str]:
    """Status and body of a request whose headers are sent as they are: ``\\udcff`` is the byte ff."""
    parts = urlsplit(url)
    lines = [f"{method} {path} HTTP/1.1", "Host: x", "Content-Length: 0", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in headers]
    async with asyncio.timeout(90):
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        try:
            writer.write("\r\n".join([*lines, "", ""]).encode(errors="surrogateescape"))
            head, _, body = (await reader.read()).partition(b"\r\n\r\n")
            return int(head.split()[1]), body.decode()
        finally:
            writer.close()
