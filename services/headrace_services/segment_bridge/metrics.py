"""The bridge's own metrics."""

from typing import Final

from prometheus_client import Counter, Gauge

from headrace.runtime.metrics import REGISTRY

# Runs by outcome: succeeded, failed.
RUNS: Final = Counter("headrace_segment_runs", "Runs of the segment bridge", ["outcome"], registry=REGISTRY)
# Above four, events before the first failed run are outside of a window of four hours.
FAILURES_IN_A_ROW: Final = Gauge(
    "headrace_segment_failures_in_a_row", "Failed runs since the last successful one", registry=REGISTRY
)
LAST_SUCCESS: Final = Gauge(
    "headrace_segment_last_success_seconds", "Start of the last successful run, Unix time", registry=REGISTRY
)
# Records by outcome: sent, sent before, dropped or buried with a reason, not sent.
RECORDS: Final = Counter("headrace_segment_records", "Records by outcome", ["outcome"], registry=REGISTRY)
