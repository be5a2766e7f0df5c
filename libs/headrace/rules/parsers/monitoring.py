"""Parsers of the cluster's monitoring: metrics and alerts."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple

from insights.core import Parser
from insights.core.exceptions import SkipComponent
from insights.core.plugins import combiner, parser

from headrace.rules.parsers.access import ListFile
from headrace.rules.reading import (
    mapping,
    moment,
    moment_of_milliseconds,
    name_at,
    newest,
    objects,
    text,
)
from headrace.rules.specs import Specs

MAX_ALERTS: Final = 2_000
"""The operator writes at most 1,000 in either file."""
_MAX_LINE_BYTES: Final = 8_192
_MAX_SAMPLES: Final = 4_000
_READ: Final = (b"ALERTS{", b"etcd_server_slow_apply_total{")
_LABEL: Final = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"')


class Sample(NamedTuple):
    """One sample of a metric."""

    metric: str
    labels: dict[str, str]
    value: float


@dataclass(frozen=True, slots=True)
class Alert:
    """A firing alert."""

    name: str
    severity: str
    namespace: str
    labels: dict[str, str]
    since: datetime | None


@parser(Specs.metrics)
class Metrics(Parser):
    """``config/metrics``: a few metrics and ``ALERTS`` in Prometheus' text format.

    ``samples`` are those that rules use; ``newest`` is the newest time of any sample.
    """

    samples: list[Sample]
    newest: datetime | None

    def parse_content(self, content: Any) -> None:
        """Read the file's bytes, or its lines."""
        if isinstance(content, list):
            content = "\n".join(content).encode(errors="replace")
        self.samples = []
        newest_milliseconds = 0.0
        for line in content.splitlines():
            if len(line) > _MAX_LINE_BYTES or line.startswith(b"#"):
                continue
            newest_milliseconds = max(newest_milliseconds, _milliseconds_of(line))
            if line.startswith(_READ) and len(self.samples) < _MAX_SAMPLES:
                self._take(line.decode(errors="replace"))
        self.newest = moment_of_milliseconds(newest_milliseconds)

    def _take(self, line: str) -> None:
        metric, _, rest = line.partition("{")
        labels, closed, tail = rest.rpartition("}")
        if closed and (values := tail.split()) and (value := _number(values[0])) is not None:
            self.samples.append(Sample(metric, _labels_of(labels), value))

    def of(self, metric: str) -> Iterator[Sample]:
        """Yield the samples of a metric."""
        return (sample for sample in self.samples if sample.metric == metric)


@parser(Specs.alerts)
class ActiveAlerts(ListFile):
    """``config/alerts.json``: Alertmanager's active alerts, since OpenShift 4.12."""

    def of(self, *, suppressed: bool) -> Iterator[Alert]:
        """Yield the alerts that are silenced or inhibited, or the others."""
        for one in objects(self.excerpt):
            if (text(one, "status", "state") == "suppressed") is suppressed:
                labels = {key: text(value) for key, value in mapping(one, "labels").items()}
                yield _alert(labels, moment(one, "startsAt"))

    @property
    def newest(self) -> datetime | None:
        """The newest time at which Alertmanager renewed an alert."""
        return newest(one.get("updatedAt") for one in objects(self.excerpt))


@combiner([ActiveAlerts, Metrics])
class Alerts:
    """The firing alerts, each once, from Alertmanager or, in older archives, from the metric ``ALERTS``.

    In every cluster the alert Watchdog always fires, so a file without any alert is unusable.
    """

    def __init__(self, active: ActiveAlerts | None, metrics: Metrics | None) -> None:
        if active is not None and not objects(active.excerpt):
            active = None
        if active is None and (metrics is None or not any(metrics.of("ALERTS"))):
            raise SkipComponent("no file of the archive contains alerts")
        self.firing = _distinct(_from_metrics(metrics) if active is None else active.of(suppressed=False))
        self.silenced = _distinct(() if active is None else active.of(suppressed=True))

    def named(self, *names: str) -> list[Alert]:
        """Return those with one of the names."""
        return [alert for alert in self.firing if alert.name in names]


def _distinct(found: Iterable[Alert]) -> list[Alert]:
    distinct: dict[tuple[tuple[str, str], ...], Alert] = {}
    for alert in found:
        if alert.name and len(distinct) < MAX_ALERTS:
            distinct.setdefault(tuple(sorted(alert.labels.items())), alert)
    return sorted(distinct.values(), key=lambda alert: (alert.name, alert.namespace))


def _from_metrics(metrics: Metrics | None) -> Iterator[Alert]:
    if metrics is None:
        return
    for sample in metrics.of("ALERTS"):
        if sample.labels.get("alertstate") == "firing" and sample.value > 0:
            yield _alert(sample.labels, None)


def _alert(labels: dict[str, str], since: datetime | None) -> Alert:
    return Alert(
        name=name_at(labels, "alertname"),
        severity=text(labels, "severity"),
        namespace=name_at(labels, "namespace"),
        labels=labels,
        since=since,
    )


def _labels_of(line: str) -> dict[str, str]:
    return dict(_LABEL.findall(line))


def _milliseconds_of(line: bytes) -> float:
    # A sample ends with its value and its time; federation writes no exemplars.
    last = line[line.rfind(b" ") + 1 :]
    return float(last) if 12 <= len(last) <= 14 and last.isdigit() else 0.0


def _number(value: str) -> float | None:
    try:
        return float(value)
    except ValueError:
        return None
