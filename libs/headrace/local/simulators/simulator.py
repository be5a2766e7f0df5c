"""What every simulator is: an application on a loopback port until it is closed."""

import ssl
from pathlib import Path
from typing import Final, Self

from aiohttp import web

from headrace.local.certificate import key_of
from headrace.web.listener import Listener

HOST: Final = "127.0.0.1"
_STOP_SECONDS: Final = 1.0


class Simulator:
    """A subclass gives the application; ``port`` 0 takes a free one.

    ``certificate``: of `headrace.local.certificate`; HTTPS is spoken by it.
    """

    def __init__(self, port: int = 0, *, certificate: Path | None = None) -> None:
        self.port = port
        self._certificate = certificate
        self._listener: Listener | None = None

    def application(self) -> web.Application:
        """What it answers."""
        raise NotImplementedError

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"{'https' if self._certificate else 'http'}://{HOST}:{self.port}"

    async def open(self) -> Self:
        """Bind and answer."""
        tls = None
        if self._certificate is not None:
            tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            tls.load_cert_chain(self._certificate, key_of(self._certificate))
        self._listener = await Listener.open(
            self.application(), HOST, self.port, stop_seconds=_STOP_SECONDS, tls=tls
        )
        self.port = self._listener.port
        return self

    async def close(self) -> None:
        """Stop listening."""
        if self._listener is not None:
            await self._listener.close()
            self._listener = None

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(self, *_: object) -> None:
        await self.close()
