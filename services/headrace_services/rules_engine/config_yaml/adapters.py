"""The user's own publisher, downloader and watchers, called as insights-core-messaging calls them.

They are written for a process that does one thing at a time: here they share one thread, off the event loop, so that no
two of their methods run concurrently.
"""

import asyncio
import queue
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, TypeVar

from insights.core import dr, hydration

from headrace.rules.evaluation.disk import extracted
from headrace.rules.evaluation.rules import DEFAULT_LIMITS
from headrace.rules.evaluation.unpacking import unpack
from headrace.runtime.errors import Rejected
from headrace.runtime.logging import get_logger

T = TypeVar("T")

_log: Final = get_logger(__name__)

EVENTS: Final = (
    "on_recv",
    "on_download",
    "watch_broker",
    "pre_extract",
    "on_extract",
    "on_engine_success",
    "on_engine_failure",
    "on_engine_complete",
    "on_process",
    "on_consumer_success",
    "on_consumer_failure",
    "on_consumer_complete",
    "on_process_timeout",
)
_WITH_PATH: Final = frozenset({"on_download", "pre_extract"})


class OwnThread:
    """The single thread of the user's own classes.

    It is a daemon: the standard library's pools wait at exit for running calls, and a call that hangs cannot be ended.
    """

    def __init__(self) -> None:
        self._work: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="own-classes", daemon=True)
        self._thread.start()

    async def call(self, work: Callable[..., T], *args: Any) -> T:
        """Run a function in the thread and return or raise its outcome; SystemExit counts as an error."""
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[T] = loop.create_future()

        def settle(result: T | None, error: Exception | None) -> None:
            if ended.done():
                return
            if error is not None:
                ended.set_exception(error)
            else:
                ended.set_result(result)  # type: ignore[arg-type]

        def guarded() -> None:
            result: T | None = None
            failure: Exception | None = None
            if not ended.cancelled():
                try:
                    result = work(*args)
                except SystemExit as error:
                    failure = RuntimeError(f"it tried to exit the process with {error.code!r}")
                except Exception as error:  # noqa: BLE001 -- the caller's to judge
                    failure = error
            # The loop may be closed; then no caller waits for the outcome.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(settle, result, failure)

        self._work.put(guarded)
        return await ended

    async def close(self) -> None:
        """Stop accepting calls; a running call is not awaited."""
        self._work.put(None)

    def _run(self) -> None:
        while (work := self._work.get()) is not None:
            work()


class OwnPublisher:
    """A publisher with ``publish(input_msg, response)`` and ``error(input_msg, ex)``."""

    def __init__(self, instance: Any, thread: OwnThread) -> None:
        self._instance = instance
        self._thread = thread

    async def publish(self, message: Mapping[str, Any], response: str | None) -> None:
        """Publish a response; raises what the class raises."""
        await self._thread.call(self._instance.publish, message, response)

    async def error(self, message: Mapping[str, Any], failure: BaseException) -> None:
        """Report a failure; an exception of the class is logged."""
        handler = getattr(self._instance, "error", None)
        if handler is not None:
            try:
                await self._thread.call(handler, message, failure)
            except Exception as error:  # noqa: BLE001 -- whatever it is, the failure itself must go on
                _log.warning("publisher's error() failed", reason=repr(error))


class OwnDownloader:
    """A downloader with ``get(src)``, a context manager that yields the path of a file."""

    def __init__(self, instance: Any, thread: OwnThread) -> None:
        self._instance = instance
        self._thread = thread

    async def fetch(self, source: str, max_bytes: int) -> bytes:
        """Return the bytes of an archive."""

        def work() -> bytes:
            with self._instance.get(source) as path:
                return read_bounded(Path(path), max_bytes)

        return await self._thread.call(work)


class OwnWatchers:
    """The user's own watchers; an event calls those that have a method for it. Their exceptions are logged."""

    def __init__(self, instances: Sequence[Any], thread: OwnThread, directory: str | None) -> None:
        self._instances = instances
        self._thread = thread
        self._directory = directory
        self._wanted = {event for event in EVENTS if any(_listens(item, event) for item in instances)}

    async def fire(self, event: str, *args: Any) -> None:
        """Call every watcher's method for an event."""
        if event in self._wanted:
            await self._thread.call(self._fire, event, *args)

    async def engine_begins(self, broker: dr.Broker, archive: bytes) -> None:
        """Report the download and the extraction; files are written only if a watcher uses them."""
        if self._wanted & {*_WITH_PATH, "watch_broker", "on_extract"}:
            await self._thread.call(self._engine_begins, broker, archive)

    def _engine_begins(self, broker: dr.Broker, archive: bytes) -> None:
        with _file_of(archive, self._directory) if self._wanted & _WITH_PATH else _no_file() as path:
            self._fire("on_download", path)
            self._fire("watch_broker", broker)
            self._fire("pre_extract", broker, path)
        if "on_extract" in self._wanted:
            try:
                with extracted(unpack(archive, DEFAULT_LIMITS), self._directory) as root:
                    context = hydration.create_context(root)
                    broker[context.__class__] = context
                    self._fire("on_extract", context, broker, SimpleNamespace(tmp_dir=root))
            except Exception as error:  # noqa: BLE001 -- the engine judges the archive, not its watchers
                _log.info("the archive cannot be extracted for watchers", reason=repr(error))

    def _fire(self, event: str, *args: Any) -> None:
        for instance in self._instances:
            handler = getattr(instance, event, None)
            if not callable(handler):
                continue
            try:
                handler(*args)
            except Exception as error:  # noqa: BLE001 -- watching must not change what is watched
                _log.warning("watcher failed", watcher=type(instance).__name__, on=event, reason=repr(error))


def _listens(instance: Any, event: str) -> bool:
    """Return whether a watcher overrides the method of an event; the base classes' methods do nothing."""
    method = getattr(instance, event, None)
    return callable(method) and not getattr(method, "__module__", "").startswith(
        "insights_messaging.watchers"
    )


def read_bounded(path: Path, max_bytes: int) -> bytes:
    """Read a file of limited size."""
    with path.open("rb") as file:
        archive = file.read(max_bytes + 1)
    if len(archive) > max_bytes:
        raise Rejected(f"the archive has more than {max_bytes} bytes")
    return archive


@contextmanager
def _file_of(archive: bytes, directory: str | None) -> Any:
    with tempfile.NamedTemporaryFile(dir=directory, prefix="insights-", suffix=".tar.gz") as file:
        file.write(archive)
        file.flush()
        yield file.name


@contextmanager
def _no_file() -> Any:
    yield ""
