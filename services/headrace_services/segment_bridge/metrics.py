"""The bridge's own metrics."""

from typing import Final

from prometheus_client import Counter, Gauge

from headrace.runtime.metrics import REGISTRY

# The outcomes are succeeded and failed.
RUNS: Final = Counter("headrace_segment_runs", "Runs of the segment bridge", ["outcome"], registry=REGISTRY)
# Above four, the first failed run is too old for the window of four hours that a run reads.
FAILURES_IN_A_ROW: Final = Gauge(
    "headrace_segment_failures_in_a_row", "Failed runs since the last successful one", registry=REGISTRY
)
LAST_SUCCESS: Final = Gauge(
    "headrace_segment_last_success_seconds", "Start of the last successful run, Unix time", registry=REGISTRY
)
# The outcomes are sent, sent before, not sent, and the reasons for which a record was dropped or buried.
RECORDS: Final = Counter("headrace_segment_records", "Records by outcome", ["outcome"], registry=REGISTRY)
