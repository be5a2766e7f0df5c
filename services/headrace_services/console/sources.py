"""What a page reads from elsewhere, each part by itself: where one source does not answer, its place says so."""

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from headrace.runtime.errors import HeadraceError
from headrace.runtime.logging import redact

T = TypeVar("T")

_SECONDS: Final = 5.0


@dataclass(frozen=True)
class Panel(Generic[T]):
    """What a source gave, or the reason why it gave nothing."""

    value: T | None = None
    problem: str = ""


async def panel(source: str, reading: Awaitable[T], *, seconds: float = _SECONDS) -> Panel[T]:
    """Wait for a source, with a deadline; ``source`` is its name in the reason of a failure."""
    try:
        async with asyncio.timeout(seconds):
            return Panel(await reading)
    except TimeoutError:
        return Panel(problem=f"{source} does not answer: nothing came within {seconds:g} s")
    except HeadraceError as error:
        text = redact(str(error))
        return Panel(problem=text if text.startswith(source) else f"{source} does not answer: {text}")
