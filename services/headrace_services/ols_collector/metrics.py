"""Metrics of the collector, and their update after a cycle."""

import time
from typing import Final

from prometheus_client import Counter, Gauge

from headrace.runtime.metrics import REGISTRY
from headrace_services.ols_collector.status import Outcome

# The outcomes are sent (answered with 202), failed (kept for the next cycle) and discarded (deleted unsent for lack of
# space).
FILES: Final = Counter("ols_collector_files", "Files by outcome", ["outcome"], registry=REGISTRY)
BYTES: Final = Counter("ols_collector_sent_bytes", "Bytes of accepted archives", registry=REGISTRY)
ATTEMPTS: Final = Counter("ols_collector_attempts", "Upload attempts", registry=REGISTRY)
# If they rise steadily, the ingress or the credentials are at fault; see /health.
FAILURES: Final = Counter("ols_collector_failed_cycles", "Cycles that left data behind", registry=REGISTRY)
CYCLE_SECONDS: Final = Gauge("ols_collector_cycle_seconds", "Duration of the last cycle", registry=REGISTRY)
INCOMPLETE: Final = Gauge(
    "ols_collector_incomplete_files", "Files that are not valid JSON (yet)", registry=REGISTRY
)
LAST_SUCCESS: Final = Gauge(
    "ols_collector_last_success_timestamp_seconds",
    "End of the last cycle that left nothing",
    registry=REGISTRY,
)


def count(outcome: Outcome) -> None:
    """Count a cycle."""
    for name in ("sent", "failed", "discarded"):
        FILES.labels(name).inc(getattr(outcome, name))
    BYTES.inc(outcome.bytes_sent)
    ATTEMPTS.inc(outcome.attempts)
    CYCLE_SECONDS.set(outcome.seconds)
    INCOMPLETE.set(outcome.incomplete)
    if outcome.reason:
        FAILURES.inc()
    else:
        LAST_SUCCESS.set(time.time())
