"""The interface of all engines of a local stack."""

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
    """A server that can be prepared, started, and probed."""

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
        """The value of its HEADRACE_* variable, including credentials."""

    @property
    def address(self) -> str:
        """Its address without credentials, for a person to open."""
        return self.url

    @property
    def credentials(self) -> dict[str, str]:
        """Its credentials by name."""
        return {}

    @abstractmethod
    def listens_on(self) -> dict[str, int]:
        """Its ports by purpose."""

    def full_below(self, disk_bytes: int) -> int:  # noqa: ARG002
        """The number of free bytes below which its disk counts as full."""
        return FULL_BELOW_BYTES

    @abstractmethod
    async def prepare(self, progress: Progress) -> None:
        """Install the program and create the data directory if they are missing; called before every run."""

    @abstractmethod
    def command(self) -> Command:
        """Return the command to run, after `prepare`."""

    @abstractmethod
    async def probe(self, within_seconds: float = PROBE_SECONDS) -> None:
        """Make one round trip. Raises NotReady, OSError or TimeoutError if the engine does not work."""

    async def after_start(self) -> None:  # noqa: B027 -- most are whole as they come
        """Set up an engine that answers for the first time."""

    async def after_stop(self) -> None:  # noqa: B027 -- most leave nothing behind
        """Remove files that the engine leaves outside its directory."""


async def answers(url: str, within_seconds: float = PROBE_SECONDS, *, below: int = 300) -> None:
    """Raise NotReady unless a GET of `url` answers with a status below that."""
    timeout = aiohttp.ClientTimeout(total=within_seconds)
    try:
        async with aiohttp.ClientSession(timeout=timeout) as session, session.get(url) as answer:
            if answer.status >= below:
                raise NotReady(f"{url} answered {answer.status}")
    except aiohttp.ClientError as error:
        raise NotReady(f"{url}: {error}") from error
