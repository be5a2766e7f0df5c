"""Metrics that several services of the recommendation chain export, under upstream's names."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from prometheus_client import Counter

from headrace.runtime.metrics import REGISTRY

KRUIZE_EXCEPTIONS: Final = Counter(
    "rosocp_kruize_api_exception", "Calls of Kruize that failed, by path", ["path"], registry=REGISTRY
)
DB_ERRORS: Final = Counter("rosocp_db_error", "Failed uses of the ROS database", registry=REGISTRY)
PARTITION_MISSING: Final = Counter(
    "rosocp_partition__missing_error",
    "Inserts that found no partition",
    ["resource_name"],
    registry=REGISTRY,
)


@contextmanager
def database_errors_counted() -> Iterator[None]:
    """Count the exceptions that leave the block."""
    try:
        yield
    except Exception:
        DB_ERRORS.inc()
        raise
