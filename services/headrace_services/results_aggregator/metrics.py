"""The metrics, under upstream's names.

Upstream's counters carry no ``_total``; this client library would add it, so that they are exported as gauges that
only grow. consumed_messages is the sum of written_reports, old_messages, messages_with_empty_rule_execution_result and
consuming_errors.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Final

from prometheus_client import CollectorRegistry, Gauge, Histogram
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from headrace.runtime import metrics

_SERVICE: Final = "results_aggregator"

OWN: Final = CollectorRegistry(auto_describe=True)

_MICROSECONDS: Final = tuple(step * 10**power for power in range(2, 7) for step in (1, 2, 5))

CONSUMED: Final = Gauge("consumed_messages", "Messages that ended", registry=OWN)
ERRORS: Final = Gauge("consuming_errors", "Messages that could not be stored", registry=OWN)
EMPTY: Final = Gauge(
    "messages_with_empty_rule_execution_result", "Reports in which no rule was run", registry=OWN
)
# Ours. Older than what is kept, or delivered again.
OLD: Final = Gauge("old_messages", "Messages that are not newer than the stored report", registry=OWN)
WRITTEN: Final = Gauge("written_reports", "Reports stored", registry=OWN)
SUCCESS_SECONDS: Final = Histogram(
    "successful_messages_processing_time", "Time to handle a message that succeeded, seconds", registry=OWN
)
FAILURE_SECONDS: Final = Histogram(
    "failed_messages_processing_time", "Time to handle a message that failed, seconds", registry=OWN
)
LAG_MINUTES: Final = Histogram(
    "last_checked_timestamp_lag_minutes",
    "Time from LastChecked to the message's end",
    buckets=(0.1, 0.5, 1, 5, 10, 20, 30, 60, 120, 360, 720, 1440),
    registry=OWN,
)
PRODUCED: Final = Gauge("produced_messages", "Statuses and dead letters acknowledged", registry=OWN)
SQL_QUERIES: Final = Gauge("sql_queries_counter", "SQL queries", registry=OWN)
SQL_SECONDS: Final = Histogram(
    "sql_queries_durations", "Duration of an SQL query, seconds", ["query"], registry=OWN
)
REQUESTS: Final = Gauge("api_endpoints_requests", "Requests by route", ["endpoint"], registry=OWN)
# Upstream's unit.
RESPONSE_TIME: Final = Histogram(
    "api_endpoints_response_time",
    "Duration of a request, microseconds",
    ["endpoint"],
    buckets=_MICROSECONDS,
    registry=OWN,
)
STATUS_CODES: Final = Gauge(
    "api_endpoints_status_codes", "Answers by status code", ["status_code"], registry=OWN
)
FEEDBACK: Final = Gauge("feedback_on_rules", "Votes and reasons for disabling that were stored", registry=OWN)
RATINGS: Final = Gauge("rating_on_rules", "Ratings that were stored", registry=OWN)


def _produced() -> float:
    """What the runtime has sent for this service."""
    return sum(
        sample.value
        for family in metrics.PRODUCED.collect()
        for sample in family.samples
        if sample.name.endswith("_total") and sample.labels["service"] == _SERVICE
    )


PRODUCED.set_function(_produced)


class Exported(Collector):
    """Everything of ``OWN``, with the namespace's prefix."""

    namespace = ""

    def collect(self) -> Iterable[Metric]:
        """The families under the names that the operator wants."""
        prefix = f"{self.namespace}_" if self.namespace else ""
        for family in OWN.collect():
            renamed = Metric(prefix + family.name, family.documentation, family.type, family.unit)
            renamed.samples = [sample._replace(name=prefix + sample.name) for sample in family.samples]
            yield renamed


EXPORTED: Final = Exported()
metrics.REGISTRY.register(EXPORTED)


@contextmanager
def measured_query(query: str) -> Iterator[None]:
    """Count and time one SQL query; ``query`` is from a fixed set."""
    began = perf_counter()
    try:
        yield
    finally:
        SQL_QUERIES.inc()
        SQL_SECONDS.labels(query).observe(perf_counter() - began)
