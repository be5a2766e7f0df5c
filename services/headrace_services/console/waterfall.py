"""What became of a payload, as bars over time: one for each service and source. No I/O.

A bar begins when a service took the payload up and ends with its final status. What lies before it, from the end of the
services that it hears from, is time in Kafka. A service that should have said something and has not is hatched.
"""

import itertools
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final

from headrace.contracts.status import ERROR, SUCCESS, TERMINAL
from headrace_services.console import words

SILENT_AFTER: Final = timedelta(seconds=30)
# A clock that is off by less is none of a person's business.
_CLOCKS_APART: Final = timedelta(milliseconds=50)
_LABEL, _WIDTH, _ROW, _TOP = 150.0, 800.0, 30.0, 26.0
_LEAST: Final = 3.0


@dataclass(frozen=True)
class Hop:
    """One status."""

    service: str
    source: str
    status: str
    reason: str
    date: datetime
    stored: datetime


@dataclass(frozen=True)
class Bar:
    """One service and source; ``waited_from`` is when its message was written, ``state`` what it has come to."""

    service: str
    source: str
    state: str
    reason: str
    begun: datetime
    ended: datetime | None
    waited_from: datetime | None = None
    statuses: int = 0
    runs_backward: bool = False

    @property
    def name(self) -> str:
        """Service, and source where there is one."""
        return f"{self.service} ({self.source})" if self.source else self.service

    def worked(self, now: datetime) -> float:
        """Seconds of work."""
        return max(0.0, ((self.ended or now) - self.begun).total_seconds())

    @property
    def waited(self) -> float:
        """Seconds in Kafka."""
        return max(0.0, (self.begun - self.waited_from).total_seconds()) if self.waited_from else 0.0


@dataclass(frozen=True)
class Drawn:
    """A bar in the picture: positions in its units."""

    bar: Bar
    y: float
    wait_x: float
    wait_width: float
    x: float
    width: float
    text_x: float
    text_anchor: str


@dataclass(frozen=True)
class Tick:
    """A line of the time axis."""

    x: float
    text: str


@dataclass(frozen=True)
class Waterfall:
    """The picture and what it says."""

    bars: Sequence[Bar]
    drawn: Sequence[Drawn]
    ticks: Sequence[Tick]
    height: float
    begun: datetime
    ended: datetime
    is_over: bool
    width: float = _WIDTH
    label: float = _LABEL
    reasons: Sequence[Bar] = field(default_factory=tuple)


def hops_of(statuses: Iterable[Mapping[str, Any]]) -> list[Hop]:
    """Return the statuses that have a time, oldest first."""
    found = []
    for row in statuses:
        date = words.moment(row.get("date"))
        if date is None:
            continue
        stored = words.moment(row.get("created_at")) or date
        names = (str(row.get(name) or "") for name in ("service", "source", "status", "reason"))
        service, source, status, reason = names
        found.append(Hop(service, source, status.lower(), reason, date, stored))
    return sorted(found, key=lambda hop: (hop.date, hop.status in TERMINAL))


def bars_of(
    hops: Sequence[Hop], upstream: Mapping[str, Collection[str]], silent: Collection[str], now: datetime
) -> list[Bar]:
    """Return a bar for each service and source that reported, then one for each that is still to report.

    ``upstream`` names for each service those without which it would receive nothing.
    """
    groups: dict[tuple[str, str], list[Hop]] = {}
    for hop in hops:
        groups.setdefault((hop.service, hop.source), []).append(hop)
    bars = [_bar(group) for group in groups.values()]
    ends = {bar.service: bar.ended for bar in bars if bar.ended is not None}
    begins = {bar.service: bar.begun for bar in bars}
    told = [_after(bar, upstream, ends, begins) for bar in bars]
    failed = {bar.service for bar in bars if bar.state == "failed"}
    for name in sorted(silent):
        before = upstream.get(name, ())
        if failed & set(before):
            continue
        since = _latest(before, ends) or (hops[0].date if hops else now)
        state = "silent" if now - since > SILENT_AFTER else "expected"
        told.append(Bar(name, "", state, "", now, None, since))
    return sorted(told, key=lambda bar: (bar.waited_from or bar.begun, bar.begun))


def _bar(group: Sequence[Hop]) -> Bar:
    newest = group[-1]
    texts = [hop.reason for hop in reversed(group) if hop.reason]
    stored = [hop.stored for hop in group]
    return Bar(
        service=newest.service,
        source=newest.source,
        state={SUCCESS: "done", ERROR: "failed"}.get(newest.status, "in_progress"),
        reason=texts[0] if texts else "",
        begun=group[0].date,
        ended=newest.date if newest.status in TERMINAL else None,
        statuses=len(group),
        # What was stored first was said first, whatever the dates say.
        runs_backward=any(later < earlier - _CLOCKS_APART for earlier, later in itertools.pairwise(stored)),
    )


def _after(
    bar: Bar,
    upstream: Mapping[str, Collection[str]],
    ends: Mapping[str, datetime],
    begins: Mapping[str, datetime],
) -> Bar:
    before = [name for name in upstream.get(bar.service, ()) if name != bar.service]
    if not before:
        return bar
    begun = _latest(before, begins)
    written = _latest([name for name in before if ends.get(name, bar.begun) <= bar.begun], ends)
    backward = begun is not None and bar.begun < begun - _CLOCKS_APART
    return replace(bar, waited_from=written or begun, runs_backward=bar.runs_backward or backward)


def _latest(names: Collection[str], times: Mapping[str, datetime]) -> datetime | None:
    return max((times[name] for name in names if name in times), default=None)


def waterfall(bars: Sequence[Bar], now: datetime) -> Waterfall:
    """Place the bars; failures and what is silent come first among the reasons."""
    is_over = all(bar.state in {"done", "failed"} for bar in bars)
    begun = min((min(bar.begun, bar.waited_from or bar.begun) for bar in bars), default=now)
    ended = max((bar.ended or (bar.begun if is_over else now) for bar in bars), default=now)
    total = max((ended - begun).total_seconds(), 0.001)
    room = _WIDTH - _LABEL - 70

    def at(moment: datetime) -> float:
        return _LABEL + min(1.0, max(0.0, (moment - begun).total_seconds() / total)) * room

    drawn = []
    for number, bar in enumerate(bars):
        x, end = at(bar.begun), at(bar.ended or ended)
        width = max(_LEAST, end - x)
        wait = at(bar.waited_from) if bar.waited_from else x
        if bar.state in {"silent", "expected"}:
            x, width = wait, max(_LEAST, end - wait)
        right = x + width
        after = right < _WIDTH - 66
        drawn.append(
            Drawn(
                bar,
                round(_TOP + number * _ROW, 1),
                round(wait, 1),
                round(max(0.0, x - wait), 1),
                round(x, 1),
                round(width, 1),
                round(right + 6 if after else max(x, wait) - 6, 1),
                "start" if after else "end",
            )
        )
    ticks = [
        Tick(round(_LABEL + share * room, 1), words.span(total * share))
        for share in (0.0, 0.25, 0.5, 0.75, 1.0)
    ]
    order = {"failed": 0, "silent": 1}
    reasons = sorted(
        (bar for bar in bars if bar.reason or bar.state in order), key=lambda bar: order.get(bar.state, 2)
    )
    return Waterfall(
        bars, drawn, ticks, _TOP + len(bars) * _ROW + 8, begun, ended, is_over, reasons=tuple(reasons)
    )
