"""One log pipeline for Headrace and its libraries: JSON or coloured columns.

Event names are constant and data is in keywords. The code that owns a message binds its context (request id, topic,
offset) once.
"""

import io
import logging
import os
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import IO, Final, cast

import orjson

from headrace.runtime import metrics


@contextmanager
def _not_installed(name: str) -> Iterator[None]:
    """Make a package appear as not installed within the block."""
    if name in sys.modules:
        yield
        return
    sys.modules[name] = cast("ModuleType", None)
    try:
        yield
    finally:
        del sys.modules[name]


# structlog would import rich for tracebacks, a tenth of a process' start; they are formatted below without it.
with _not_installed("rich"):
    import structlog
    from structlog.typing import EventDict, FilteringBoundLogger, WrappedLogger

# A presigned URL is a credential for a day, a bearer token for longer.
_SECRETS: Final = re.compile(
    r"(X-Amz-(?:Signature|Credential|Security-Token)=)[^&\s\"']+"
    r"|((?:Bearer|Basic)\s+)[A-Za-z0-9._~+/=-]+"
    r"|(://[^/\s:@]+:)[^/\s@]+(?=@)",
    re.IGNORECASE,
)
# Every match contains one of these; most texts contain none and skip the pattern.
_MARKS: Final = ("x-amz-", "bearer", "basic", "://")


def redact(text: str) -> str:
    """Remove tokens, passwords in URLs and the signatures of presigned URLs."""
    lowered = text.lower()
    if not any(mark in lowered for mark in _MARKS):
        return text
    return _SECRETS.sub(lambda match: f"{match[1] or match[2] or match[3]}***", text)


def _redact_event(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    return {key: redact(value) if isinstance(value, str) else value for key, value in event.items()}


def _json(_logger: WrappedLogger, _method: str, event: EventDict) -> str:
    return orjson.dumps(event, default=repr).decode()


class _Lossy(io.StringIO):
    """A stream that drops what it cannot write: a full disk of the log must not fail the work that is logged.

    Without a stream it writes to stdout.
    """

    def __init__(self, stream: IO[str] | None = None) -> None:
        super().__init__()
        self._given = stream

    @property
    def _stream(self) -> IO[str]:
        # Looked up at each line: while a spinner turns, stdout is one that puts lines above it.
        return self._given or sys.stdout

    def write(self, text: str) -> int:
        try:
            self._stream.write(text)
        except OSError:
            metrics.LOG_LINES_LOST.inc()
        return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError:
            metrics.LOG_LINES_LOST.inc()


class KeptLog(io.StringIO):
    """A log file that is renamed to `.1` and started again when it would exceed its limit."""

    def __init__(self, path: Path, limit_bytes: int = 16 * 1024 * 1024) -> None:
        super().__init__()
        self.path = path
        self._limit_bytes = limit_bytes
        self._file: IO[bytes] | None = None
        self._writing = threading.Lock()

    def write(self, text: str) -> int:
        """Write a text; open the file at the first call, so that a process that never writes leaves no file."""
        with self._writing:
            self._opened().write(text.encode(errors="replace"))
        return len(text)

    def close(self) -> None:
        """Close the file; it has no buffer in memory."""
        if self._file is not None:
            self._file.close()
        super().close()

    def _opened(self) -> IO[bytes]:
        if self._file is not None and self._file.tell() > self._limit_bytes:
            self._file.close()
            self._file = None
            self.path.replace(self.path.with_suffix(f"{self.path.suffix}.1"))
        if self._file is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self.path.open("ab", buffering=0)
        return self._file


class _Keeping:
    """A processor that writes each line to the kept log as JSON and passes on the lines that stdout shows."""

    def __init__(self, log: KeptLog, shown: int) -> None:
        self._log = _Lossy(log)
        self._shown = shown

    def __call__(self, logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
        self._log.write(_json(logger, method, event) + "\n")
        if _number(event["level"]) < self._shown:
            raise structlog.DropEvent
        return event


def _number(level: str) -> int:
    return logging.getLevelNamesMapping().get(level.upper(), logging.INFO)


def configure(
    level: str = "INFO", style: str = "json", *, kept: KeptLog | None = None, kept_level: str = "INFO"
) -> None:
    """Send everything to stdout in one style, ``json`` or ``text``; also, as JSON, to the kept log."""
    stdout = _Lossy()
    steps: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="@timestamp"),
        structlog.processors.format_exc_info,
        _redact_event,
    ]
    renderer: structlog.typing.Processor = (
        _json
        if style == "json"
        else structlog.dev.ConsoleRenderer(colors=_in_colour(), timestamp_key="@timestamp")
    )
    shown = number = _number(level)
    keeping: list[structlog.typing.Processor] = []
    if kept is not None:
        number = min(shown, _number(kept_level))
        keeping = [_Keeping(kept, shown)]
    # Headrace's own lines bypass the standard library's logging, which would triple their cost.
    structlog.configure(
        processors=[*steps, *keeping, renderer],
        logger_factory=structlog.WriteLoggerFactory(stdout),
        wrapper_class=structlog.make_filtering_bound_logger(number),
        cache_logger_on_first_use=True,
    )
    root = logging.getLogger()
    root.handlers[:] = [_handler(stdout, shown, steps, renderer)]
    if kept is not None:
        root.handlers.append(_handler(_Lossy(kept), number, steps, _json))
    root.setLevel(number)
    # These libraries log every reconnect as an error; Headrace logs what it means for the flow.
    for noisy in ("aiokafka", "botocore", "aiobotocore"):
        logging.getLogger(noisy).setLevel(logging.CRITICAL)


def _in_colour() -> bool:
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")


def _handler(
    stream: IO[str],
    level: int,
    steps: list[structlog.typing.Processor],
    renderer: structlog.typing.Processor,
) -> logging.Handler:
    """Return the handler for lines of libraries, which use the standard library's logging."""
    handler = logging.StreamHandler(stream)
    handler.setLevel(level)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*steps, structlog.stdlib.add_logger_name],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    return handler


def get_logger(name: str) -> FilteringBoundLogger:
    """Return a logger whose lines carry ``name``."""
    logger: FilteringBoundLogger = structlog.get_logger(module=name)
    return logger
