"""What a server answered."""

import asyncio
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Answer:
    """Status, headers and body."""

    status: int
    headers: dict[str, str]
    text: str

    @property
    def json(self) -> Any:
        """The body, parsed."""
        return json.loads(self.text)


async def raw_status(url: str, path: str, headers: Iterable[tuple[str, str]], method: str = "GET") -> int:
    """The status of a request whose headers are sent as they are: ``\\udcff`` is the byte ff."""
    parts = urlsplit(url)
    lines = [f"{method} {path} HTTP/1.1", "Host: x", "Content-Length: 0", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in headers]
    async with asyncio.timeout(20):
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        try:
            writer.write("\r\n".join([*lines, "", ""]).encode(errors="surrogateescape"))
            return int((await reader.readline()).split()[1])
        finally:
            writer.close()
