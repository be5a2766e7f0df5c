"""One log pipeline for our lines and every library's: JSON or coloured columns.

Event names are constant, data is in keywords, and a message's context (request id, topic, offset) is bound
once by whoever owns the message.
"""

import io
import logging
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import IO, Final, cast

import orjson

from headrace.runtime import metrics


@contextmanager
def _not_installed(name: str) -> Iterator[None]:
    """Within it, who looks whether there is such a package finds none."""
    if name in sys.modules:
        yield
        return
    sys.modules[name] = cast("ModuleType", None)
    try:
        yield
    finally:
        del sys.modules[name]


# structlog would load rich, a tenth of a process' start, for tracebacks that are formatted below without it.
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
# No match without one of these; most texts have none.
_MARKS: Final = ("x-amz-", "bearer", "basic", "://")


def redact(text: str) -> str:
    """Blank out tokens, passwords in URLs and the signatures of presigned URLs."""
    lowered = text.lower()
    if not any(mark in lowered for mark in _MARKS):
        return text
    return _SECRETS.sub(lambda match: f"{match[1] or match[2] or match[3]}***", text)


def _redact_event(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    return {key: redact(value) if isinstance(value, str) else value for key, value in event.items()}


def _json(_logger: WrappedLogger, _method: str, event: EventDict) -> str:
    return orjson.dumps(event, default=repr).decode()


class _Lossy(io.StringIO):
    """A stream that loses what it cannot write: a full disk below the log must not fail the work that is told of."""

    def __init__(self, stream: IO[str]) -> None:
        super().__init__()
        self._stream = stream

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


def configure(level: str = "INFO", style: str = "json") -> None:
    """Send everything to stdout in one style; ``style`` is ``json`` or ``text``."""
    stdout = _Lossy(sys.stdout)
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
        else structlog.dev.ConsoleRenderer(colors=sys.stdout.isatty(), timestamp_key="@timestamp")
    )
    number = logging.getLevelNamesMapping().get(level.upper(), logging.INFO)
    # Our own lines go straight out: by way of the standard library's logging they cost three times as much.
    structlog.configure(
        processors=[*steps, renderer],
        logger_factory=structlog.WriteLoggerFactory(stdout),
        wrapper_class=structlog.make_filtering_bound_logger(number),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*steps, structlog.stdlib.add_logger_name],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(number)
    # Their every reconnect is an error line; ours say what it means for the flow.
    for noisy in ("aiokafka", "botocore", "aiobotocore"):
        logging.getLogger(noisy).setLevel(logging.CRITICAL)


def get_logger(name: str) -> FilteringBoundLogger:
    """A logger whose lines carry ``name``."""
    logger: FilteringBoundLogger = structlog.get_logger(module=name)
    return logger
