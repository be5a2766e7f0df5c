"""What the stack has to know of one backing server, whichever it is."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar, Literal

import aiohttp

from headrace.local.install import Progress
from headrace.local.process import Command, NotReady

EngineName = Literal["kafka", "s3", "postgres"]
PROBE_SECONDS = 2.0
# Less than this is as good as a full disk: Kafka alone maps an index of 10 MiB for a segment.
FULL_BELOW_BYTES = 32 << 20


class Engine(ABC):
    """A server that can be made ready to start, started, and asked whether it works."""

    name: ClassVar[EngineName]
    product: ClassVar[str]
    ready_within_seconds: ClassVar[float] = 60.0
    stop_within_seconds: ClassVar[float] = 10.0
    # Whether one that was on a full disk goes on refusing when there is room again.
    dwells_on_full: ClassVar[bool] = False

    def __init__(self, directory: Path) -> None:
        self.directory = directory.resolve()
        self.version = ""

    @property
    @abstractmethod
    def url(self) -> str:
        """As the HEADRACE_* variable for it wants it, credentials included."""

    @property
    def address(self) -> str:
        """For a person to open: no credentials."""
        return self.url

    @property
    def credentials(self) -> dict[str, str]:
        """What a client must show, by name."""
        return {}

    @abstractmethod
    def listens_on(self) -> dict[str, int]:
        """Ports by what they are for."""

    def full_below(self, disk_bytes: int) -> int:  # noqa: ARG002
        """With how many bytes free its disk is full."""
        return FULL_BELOW_BYTES

    @abstractmethod
    async def prepare(self, progress: Progress) -> None:
        """Get the program and make the data directory where they are missing; comes before every run."""

    @abstractmethod
    def command(self) -> Command:
        """What to run; `prepare` came before."""

    @abstractmethod
    async def probe(self, within_seconds: float = PROBE_SECONDS) -> None:
        """One round trip. Raises NotReady, OSError or TimeoutError while it does not work."""

    async def after_start(self) -> None:  # noqa: B027 -- most are whole as they come
        """What a server that answers for the first time still has to be given."""

    async def after_stop(self) -> None:  # noqa: B027 -- most leave nothing behind
        """Remove what the server leaves outside its directory."""


async def answers(url: str, within_seconds: float = PROBE_SECONDS, *, below: int = 300) -> None:
    """Raises NotReady unless a GET of `url` answers with a status below that."""
    timeout = aiohttp.ClientTimeout(total=within_seconds)
    try:
        async with aiohttp.ClientSession(timeout=timeout) as session, session.get(url) as answer:
            if answer.status >= below:
                raise NotReady(f"{url} answered {answer.status}")
    except aiohttp.ClientError as error:
        raise NotReady(f"{url}: {error}") from error
