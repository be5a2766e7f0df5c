"""The command line's client of a running assisted_events."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import aiohttp
import orjson

from headrace.archives.files import file_chunks
from headrace.run_file import service_url
from headrace.runtime.errors import Permanent, Retryable
from headrace_services.assisted_events.api import PREFIX

# A large simulation is stored in one request, which takes long.
_TIMEOUT: Final = aiohttp.ClientTimeout(total=300, sock_connect=5)


@dataclass(frozen=True)
class Remote:
    """One service at ``url``."""

    url: str
    token: str

    @classmethod
    def of(cls, directory: Path, url: str | None, token: str) -> Self:
        """Return the given service, else the running local stack's."""
        return cls((url or service_url(directory, "assisted_events")).rstrip("/"), token)

    async def call(
        self, method: str, path: str, *, json: Any = None, params: Any = None, file: Path | None = None
    ) -> Any:
        """Return the decoded answer, None for an empty one; raises `Permanent` with the service's reason."""
        data = file_chunks(file) if file else orjson.dumps(json) if json is not None else None
        async with aiohttp.ClientSession(timeout=_TIMEOUT, headers=self._headers) as session:
            try:
                async with session.request(
                    method,
                    self.url + PREFIX + path,
                    data=data,
                    params={name: value for name, value in (params or {}).items() if value is not None},
                ) as response:
                    content = await response.read()
            except (aiohttp.ClientError, TimeoutError) as error:
                raise self._away(error) from None
        if response.status >= 300:
            raise _refused(response.status, content)
        return orjson.loads(content) if content else None

    async def download(self, method: str, path: str, output: Path) -> int:
        """Write an archive to a file; returns its size in bytes."""
        async with aiohttp.ClientSession(timeout=_TIMEOUT, headers=self._headers) as session:
            try:
                async with session.request(method, self.url + PREFIX + path) as response:
                    if response.status >= 300:
                        raise _refused(response.status, await response.read())
                    with output.open("wb") as opened:
                        async for chunk in response.content.iter_chunked(1 << 16):
                            opened.write(chunk)
                        return opened.tell()
            except (aiohttp.ClientError, TimeoutError) as error:
                raise self._away(error) from None

    @property
    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}

    def _away(self, error: Exception) -> Retryable:
        return Retryable(f"assisted_events at {self.url} does not answer: {type(error).__name__}")


def _refused(status: int, content: bytes) -> Permanent:
    try:
        text = orjson.loads(content)["message"]
    except (ValueError, KeyError, TypeError):
        text = content[:300].decode(errors="replace")
    return Permanent(f"assisted_events answered {status}: {text}")
