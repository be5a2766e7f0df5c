"""Details of bounded size: insights-core drops a response of more than 65,535 characters."""

from collections.abc import Iterable
from typing import Any, Final

MAX_OFFENDERS: Final = 20


def offenders(name: str, found: Iterable[dict[str, Any]], **more: Any) -> dict[str, Any]:
    """Return the first ``MAX_OFFENDERS`` of what was found under ``name``, the count of all, and ``more``."""
    everything = list(found)
    return {name: everything[:MAX_OFFENDERS], "count": len(everything), **more}
