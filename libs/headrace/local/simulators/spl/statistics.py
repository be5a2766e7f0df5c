"""stats and its kin: what is counted of many events."""

import math
import re
import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Final

from headrace.local.simulators.spl.expressions import expression
from headrace.local.simulators.spl.kinds import Command
from headrace.local.simulators.spl.reading import Reader, SplError, unquoted
from headrace.local.simulators.spl.values import Evaluate, Event, number, several, sort_key, text

# Values in the order of their events, and the events' times beside them.
Aggregate = Callable[[Sequence[Any], Sequence[float]], Any]

_PERCENTILE: Final = re.compile(r"(?:exactperc|upperperc|perc|p)(\d+(?:\.\d+)?)")
_LISTED: Final = 100


def _of_numbers(function: Callable[[list[float]], float]) -> Aggregate:
    def aggregate(values: Sequence[Any], _times: Sequence[float]) -> Any:
        amounts = [found for value in values if (found := number(value)) is not None]
        return function(amounts) if amounts else None

    return aggregate


def _percentile(share: float) -> Aggregate:
    def of(amounts: list[float]) -> float:
        ordered = sorted(amounts)
        place = share / 100 * (len(ordered) - 1)
        low, high = ordered[math.floor(place)], ordered[math.ceil(place)]
        return low + (high - low) * (place - math.floor(place))

    return _of_numbers(of)


def _spread(function: Callable[[list[float]], float]) -> Aggregate:
    return _of_numbers(lambda amounts: function(amounts) if len(amounts) > 1 else 0)


_AGGREGATES: Final[Mapping[str, Aggregate]] = {
    "count": lambda values, _: len(values),
    "dc": lambda values, _: len(set(map(text, values))),
    "sum": _of_numbers(sum),
    "sumsq": _of_numbers(lambda amounts: sum(amount * amount for amount in amounts)),
    "avg": _of_numbers(lambda amounts: sum(amounts) / len(amounts)),
    "min": lambda values, _: min(values, key=sort_key, default=None),
    "max": lambda values, _: max(values, key=sort_key, default=None),
    "range": _of_numbers(lambda amounts: max(amounts) - min(amounts)),
    "median": _of_numbers(statistics.median),
    "mode": lambda values, _: Counter(map(text, values)).most_common(1)[0][0] if values else None,
    "stdev": _spread(statistics.stdev),
    "stdevp": _spread(statistics.pstdev),
    "var": _spread(statistics.variance),
    "varp": _spread(statistics.pvariance),
    "first": lambda values, _: values[0] if values else None,
    "last": lambda values, _: values[-1] if values else None,
    "earliest": lambda values, times: _timed(values, times, -1),
    "latest": lambda values, times: _timed(values, times, 1),
    "list": lambda values, _: list(values[:_LISTED]) or None,
    "values": lambda values, _: sorted(set(map(text, values))) or None,
}
_OTHER_NAMES: Final = {"c": "count", "distinct_count": "dc", "mean": "avg", "estdc": "dc"}


def _timed(values: Sequence[Any], times: Sequence[float], sign: int) -> Any:
    return max(zip(values, times, strict=True), key=lambda pair: sign * pair[1])[0] if values else None


@dataclass(frozen=True)
class _Asked:
    """One of the things counted."""

    name: str
    value: Evaluate | None
    aggregate: Aggregate

    def of(self, events: Sequence[Event]) -> Any:
        if self.value is None:
            return self.aggregate(events, ())
        evaluate = self.value
        pairs = [
            (item, number(event.get("_time")) or 0.0) for event in events for item in several(evaluate(event))
        ]
        return self.aggregate([item for item, _ in pairs], [time for _, time in pairs])


class _Counting:
    """``count AS n, dc(user) BY verb``, read."""

    def __init__(self, reader: Reader, command: str) -> None:
        reader.options("allnum", "delim", "window", "current", "global", "partitions")
        self._reader = reader
        self._command = command
        self.asked: list[_Asked] = []
        while reader.peek() is not None and reader.peek_word() not in {"BY", "by"}:
            if not reader.accept(","):
                self.asked.append(self._one())
        self.by = reader.names() if reader.accept("BY", "by") else []
        if not self.asked:
            raise SplError(f"Error in '{command}' command: The argument is missing.")

    def _one(self) -> _Asked:
        start = self._reader.at
        word = unquoted(self._reader.take())
        value = self._value() if self._reader.accept("(") else None
        name = self._reader.text[start : self._reader.at].strip()
        aggregate = self._aggregate(word)
        if value is None and aggregate is not _AGGREGATES["count"]:
            raise SplError(f"Error in '{self._command}' command: The argument '{name}' is invalid.")
        if self._reader.accept("AS", "as"):
            name = unquoted(self._reader.take())
        return _Asked(name, value, aggregate)

    def _value(self) -> Evaluate | None:
        if self._reader.accept(")"):
            return None
        if self._reader.accept("eval"):
            self._reader.expect("(")
            condition = expression(self._reader)
            self._reader.expect(")")
            self._reader.expect(")")
            # What is not so is not counted.
            return lambda event: found if (found := condition(event)) is not False else None
        field = unquoted(self._reader.take())
        self._reader.expect(")")
        return lambda event: event.get(field)

    def _aggregate(self, word: str) -> Aggregate:
        name = word.lower()
        if match := _PERCENTILE.fullmatch(name):
            return _percentile(float(match[1]))
        found = _AGGREGATES.get(_OTHER_NAMES.get(name, name))
        if found is None:
            raise SplError(f"Error in '{self._command}' command: The argument '{word}' is invalid.")
        return found

    def groups(self, events: Iterable[Event]) -> dict[tuple[Any, ...], list[Event]]:
        """Events by their values; one that lacks any is in none, one of several values in several."""
        groups: dict[tuple[Any, ...], list[Event]] = {}
        for event in events:
            for key in product(*(several(event.get(name)) for name in self.by)):
                groups.setdefault(tuple(map(text, key)), []).append(event)
        return groups

    def counted(self, events: Sequence[Event]) -> dict[str, Any]:
        return {asked.name: asked.of(events) for asked in self.asked}


def stats(reader: Reader) -> Command:
    """A row for each group, in the order of their values."""
    counting = _Counting(reader, "stats")

    def command(events: Iterator[Event]) -> Iterator[Event]:
        groups = counting.groups(events)
        if not counting.by:
            groups.setdefault((), [])
        for key in sorted(groups, key=lambda values: [sort_key(value) for value in values]):
            yield Event.of(dict(zip(counting.by, key, strict=True)) | counting.counted(groups[key]))

    return command


def eventstats(reader: Reader) -> Command:
    """The events, each with what is counted of its group."""
    counting = _Counting(reader, "eventstats")

    def command(events: Iterator[Event]) -> Iterator[Event]:
        kept = list(events)
        for members in counting.groups(kept).values():
            counted = counting.counted(members)
            for event in members:
                _add(event, counted)
        yield from kept

    return command


def streamstats(reader: Reader) -> Command:
    """The events, each with what is counted of its group so far."""
    counting = _Counting(reader, "streamstats")

    def command(events: Iterator[Event]) -> Iterator[Event]:
        groups: dict[tuple[Any, ...], list[Event]] = {}
        for event in events:
            for key in counting.groups([event]):
                groups.setdefault(key, []).append(event)
                _add(event, counting.counted(groups[key]))
            yield event

    return command


def _add(event: Event, counted: Mapping[str, Any]) -> None:
    for name, value in counted.items():
        event.set(name, value)


def ranked(command: str, *, rarest: bool) -> Callable[[Reader], Command]:
    """Of the commands top and rare: the most or least common values, with their counts and shares."""

    def build(reader: Reader) -> Command:
        limit = int(reader.take().text) if reader.peek_word().isdigit() else 10
        options = reader.options("limit", "showperc", "showcount", "countfield", "percentfield")
        limit = int(options.get("limit", limit))
        names = reader.names()
        by = reader.names() if reader.accept("BY", "by") else []
        if not names:
            raise SplError(f"Error in '{command}' command: The argument is missing.")

        def run(events: Iterator[Event]) -> Iterator[Event]:
            counts: dict[tuple[str, ...], Counter[tuple[str, ...]]] = {}
            for event in events:
                for group in product(*(map(text, several(event.get(name))) for name in by)):
                    found = product(*(map(text, several(event.get(name))) for name in names))
                    counts.setdefault(group, Counter()).update(found)
            for group in sorted(counts):
                every = sum(counts[group].values())
                order = sorted(counts[group].items(), key=lambda pair: pair[1] if rarest else -pair[1])
                for values, count in order[: limit or None]:
                    row = dict(zip((*by, *names), (*group, *values), strict=True))
                    yield Event.of(row | _measures(count, every, options))

        return run

    return build


def _measures(count: int, every: int, options: Mapping[str, str]) -> dict[str, Any]:
    measures: dict[str, Any] = {}
    if options.get("showcount", "t") not in _NO:
        measures[options.get("countfield", "count")] = count
    if options.get("showperc", "t") not in _NO:
        measures[options.get("percentfield", "percent")] = f"{count / every * 100:.6f}"
    return measures


_NO: Final = frozenset({"f", "false", "0"})
