"""Metrics of the pipeline under upstream's names, and some of Headrace's own.

Source: RedHatInsights/insights-ccx-messaging, ccx_messaging/watchers/stats_watcher.py. Every announcement is received
once and ends published or failed; upstream does not count those that cannot be read. (Each failed attempt counts,
unless an engine was away.)
"""

import time
from collections.abc import Iterable
from typing import Final

from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.metrics_core import CounterMetricFamily
from prometheus_client.registry import Collector

from headrace.rules.workers import metrics as workers
from headrace.runtime import metrics

_OCP, _HYPERSHIFT = "ocp", "hypershift"
_ARCHIVES: Final = (_OCP, _HYPERSHIFT)
_BYTES: Final = tuple(float(1 << power) for power in range(12, 31, 2))
_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
# Senders may write any version.
_remote_version: Final = metrics.Capped(r"[\w.+-]{1,64}", most=100)


def _counter(name: str, text: str, *labels: str) -> Counter:
    return Counter(name, text, labels, registry=metrics.REGISTRY)


def _histogram(name: str, text: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
    return Histogram(name, text, labels, buckets=buckets, registry=metrics.REGISTRY)


def _gauge(name: str, text: str) -> Gauge:
    return Gauge(name, text, registry=metrics.REGISTRY)


RECEIVED: Final = _counter("ccx_consumer_received", "Announcements accepted")
EXTRACTED: Final = _counter("ccx_consumer_extracted", "Archives unpacked", "archive")
PROCESSED: Final = _counter("ccx_engine_processed", "Archives evaluated", "archive")
PUBLISHED: Final = _counter("ccx_published", "Archives whose report was published", "archive")
FAILURES: Final = _counter("ccx_failures", "Archives without a report", "archive")
NOT_HANDLED: Final = _counter("ccx_not_handled", "Never counted, as upstream")
TIMEOUTS: Final = _counter("ccx_engine_processed_timeout", "Archives that exceeded the deadline", "archive")
REMOTE_CONFIGURATIONS: Final = _counter(
    "gathering_conditions_remote_configuration_version", "Archives by that version", "version"
)
# It is a histogram in spite of its name.
DOWNLOADED: Final = _histogram("ccx_downloaded_total", "Size of archives downloaded, bytes", _BYTES)
ARCHIVE_SIZE: Final = _histogram(
    "ccx_consumer_archive_size", "Size of archives unpacked, bytes", _BYTES, "archive"
)
DOWNLOAD_SECONDS: Final = _histogram("ccx_download_duration_seconds", "Duration of the download", _SECONDS)
PROCESS_SECONDS: Final = _histogram(
    "ccx_process_duration_seconds", "Time in the engine, including the wait for a worker", _SECONDS, "archive"
)
PUBLISH_SECONDS: Final = _histogram(
    "ccx_publish_duration_seconds", "Time until the broker's acknowledgement", _SECONDS, "archive"
)
BROKER_INSTANCES: Final = _gauge("ccx_broker_instances_size", "Responses of rules, last archive")
BROKER_EXCEPTIONS: Final = _gauge("ccx_broker_exceptions_size", "Components that failed, last archive")
BROKER_TRACEBACKS: Final = _gauge("ccx_broker_tracebacks_size", "Places of failure, last archive")

# Headrace's own. If it rises, a rule has a fault; the log names the rule.
RULE_EXCEPTIONS: Final = _counter("headrace_rule_exceptions", "Components that failed on an archive")
RULE_SKIPS: Final = _counter("headrace_rule_skips", "Rules skipped because the archive lacks something")
ON_DISK: Final = _counter(
    "headrace_rules_on_disk", "Archives evaluated on disk because a component needs real files"
)

# It belongs to the pool and is listed among those of the service, too.
WORKERS_REPLACED: Final = workers.WORKERS_REPLACED
REPLACEMENT_SECONDS: Final = workers.REPLACEMENT_SECONDS

for _family in (
    EXTRACTED, PROCESSED, PUBLISHED, FAILURES, TIMEOUTS, ARCHIVE_SIZE, PROCESS_SECONDS, PUBLISH_SECONDS
):  # fmt: skip
    for _archive in _ARCHIVES:
        _family.labels(_archive)


class _Filtered(Collector):
    """The messages that the runtime filtered for this service, under upstream's name."""

    def collect(self) -> Iterable[CounterMetricFamily]:
        total = sum(
            sample.value
            for family in metrics.MESSAGES.collect()
            for sample in family.samples
            if sample.name.endswith("_total")
            and (sample.labels["service"], sample.labels["outcome"]) == ("rules_engine", "filtered")
        )
        yield CounterMetricFamily("ccx_consumer_filtered", "Announcements of other services", value=total)


metrics.REGISTRY.register(_Filtered())


class Progress:
    """The progress of one message through the stages; a stage that it does not reach has the time 0."""

    def __init__(self, *, first_attempt: bool) -> None:
        self._archive = _OCP
        self._since = time.perf_counter()
        self._durations = [DOWNLOAD_SECONDS, PROCESS_SECONDS, PUBLISH_SECONDS]
        if first_attempt:
            RECEIVED.inc()

    def downloaded(self, size_bytes: int) -> None:
        """Record that the archive is downloaded."""
        DOWNLOADED.observe(size_bytes)
        self._stage_ended()

    def processed(self, size_bytes: int, *, hypershift: bool, version: str | None) -> None:
        """Record that the rules have run."""
        self._archive = _HYPERSHIFT if hypershift else _OCP
        EXTRACTED.labels(self._archive).inc()
        ARCHIVE_SIZE.labels(self._archive).observe(size_bytes)
        PROCESSED.labels(self._archive).inc()
        if version is not None:
            REMOTE_CONFIGURATIONS.labels(_remote_version(version)).inc()
        self._stage_ended()

    def published(self) -> None:
        """Record that the broker has the results."""
        PUBLISHED.labels(self._archive).inc()
        self._stage_ended()

    def failed(self, *, timed_out: bool) -> None:
        """Record that the message has failed."""
        FAILURES.labels(self._archive).inc()
        if timed_out:
            TIMEOUTS.labels(self._archive).inc()
        while self._durations:
            self._stage_ended()

    def _stage_ended(self) -> None:
        now = time.perf_counter()
        family = self._durations.pop(0)
        # The kind of archive is unknown until it is downloaded, so that metric has no label.
        series = family if family is DOWNLOAD_SECONDS else family.labels(self._archive)
        series.observe(now - self._since)
        self._since = now
