"""The commands of a pipeline, in a table: each is built of its words and gives events for events."""

import re
import time
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, Final

from headrace.local.simulators.spl.expressions import expression
from headrace.local.simulators.spl.extraction import makemv, mvexpand, nomv, regex, rex, spath
from headrace.local.simulators.spl.kinds import Command, Kind, each
from headrace.local.simulators.spl.reading import Reader, SplError, Token, unquoted, wildcard
from headrace.local.simulators.spl.statistics import eventstats, ranked, stats, streamstats
from headrace.local.simulators.spl.terms import SearchTerms
from headrace.local.simulators.spl.values import Evaluate, Event, number, sort_key, text, truth

_ASSIGNED: Final = re.compile(r"""("(?:\\.|[^"\\])*"|'[^']*'|[^\s=(),"']+)\s*=(?!=)\s*""")
_YES: Final = frozenset({"t", "true", "1"})


def _number(reader: Reader, default: int) -> int:
    return int(reader.take().text) if reader.peek_word().isdigit() else default


def _some(reader: Reader, command: str) -> list[str]:
    names = reader.names()
    if not names:
        raise SplError(f"Error in '{command}' command: The argument is missing: a list of fields.")
    return names


def _search(reader: Reader) -> Command:
    test = SearchTerms(reader).test
    return lambda events: (event for event in events if test(event))


def _where(reader: Reader) -> Command:
    test = expression(reader)
    return lambda events: (event for event in events if truth(test(event)))


def _eval(reader: Reader) -> Command:
    assignments: list[tuple[str, Evaluate]] = []
    while not assignments or reader.accept(","):
        name = reader.match(_ASSIGNED)
        if name is None:
            raise SplError(
                "Error in 'EvalCommand': The expression is malformed. An expression must be assigned to a field."
            )
        word = unquoted(Token({'"': "text", "'": "name"}.get(name[1][0], "word"), name[1]))
        assignments.append((word, expression(reader)))

    def change(event: Event) -> None:
        for name, evaluate in assignments:
            event.set(name, evaluate(event))

    return each(change)


def _fields(reader: Reader) -> Command:
    remove = reader.accept("-")
    reader.accept("+")
    names = _some(reader, "fields")

    def change(event: Event) -> None:
        if remove:
            removed = set(_ordered(event, names))
            event.keep([name for name in event.names() if name not in removed])
        else:
            # Fields that begin with an underscore stay until they are asked to go.
            event.keep([*_ordered(event, names), *(name for name in event.names() if name.startswith("_"))])

    return each(change)


def _ordered(event: Event, names: list[str]) -> list[str]:
    """The event's fields that the names mean, in their order; ``*`` means none that begins with an underscore."""
    found: dict[str, None] = {}
    for name in names:
        if "*" in name:
            pattern, own = wildcard(name, flags=0), name.startswith("_")
            fits = (one for one in sorted(event.names()) if one.startswith("_") is own)
            found |= {one: None for one in fits if pattern.fullmatch(one)}
        else:
            found[name] = None
    return list(found)


def _table(reader: Reader) -> Command:
    names = _some(reader, "table")
    return each(lambda event: event.keep(_ordered(event, names)))


def _rename(reader: Reader) -> Command:
    pairs = []
    while reader.peek() is not None:
        if not reader.accept(","):
            name = unquoted(reader.take())
            if not reader.accept("AS", "as"):
                raise SplError("Error in 'rename' command: Usage: rename [old_name AS new_name]+.")
            pairs.append((name, unquoted(reader.take())))

    def change(event: Event) -> None:
        names: dict[str, str] = {}
        for old, new in pairs:
            if "*" not in old:
                names[old] = new
                continue
            pattern = _groups(old)
            names |= {
                name: _filled(new, match) for name in event.names() if (match := pattern.fullmatch(name))
            }
        event.rename(names)

    return each(change)


def _replace(reader: Reader) -> Command:
    pairs: list[tuple[re.Pattern[str], str]] = []
    names: list[str] = []
    while reader.peek() is not None:
        if reader.accept("IN", "in"):
            names = _some(reader, "replace")
        elif not reader.accept(","):
            sought = unquoted(reader.take())
            if not reader.accept("WITH", "with"):
                raise SplError(
                    "Error in 'replace' command: Usage: replace [orig_str WITH new_str]+ [IN field1, field2, ...]."
                )
            pairs.append((_groups(sought), unquoted(reader.take())))

    def change(event: Event) -> None:
        for name in names or [name for name in event.names() if not name.startswith("_")]:
            for pattern, put in pairs:
                value = event.get(name)
                if value is not None and (match := pattern.fullmatch(text(value))):
                    event.set(name, _filled(put, match))

    return each(change)


def _groups(pattern: str) -> re.Pattern[str]:
    """What each ``*`` stands for is a group."""
    return re.compile("(.*)".join(map(re.escape, pattern.split("*"))), re.DOTALL)


def _filled(pattern: str, match: re.Match[str]) -> str:
    """The same texts in place of another's ``*``."""
    for part in match.groups():
        pattern = pattern.replace("*", part, 1)
    return pattern


def _sort(reader: Reader) -> Command:
    limit = _number(reader, 10_000)
    limit = int(reader.options("limit").get("limit", limit))
    return _sorted(reader, limit, "sort")


def _sorted(reader: Reader, limit: int, command: str) -> Command:
    """By the fields that follow, ``-`` before one turning it round."""
    keys: list[tuple[str, bool, bool]] = []
    turned = False
    while reader.peek() is not None:
        if reader.accept(","):
            continue
        if reader.accept("d", "desc"):
            turned = True
            continue
        down = reader.accept("-")
        reader.accept("+")
        word = unquoted(reader.take())
        down, word = down or word.startswith("-"), word.removeprefix("-").removeprefix("+")
        # `str(field)` and its like say how to compare.
        typed = reader.peek_word() == "("
        keys.append((_enclosed(reader) if typed else word, down, typed and word == "str"))
    if not keys:
        raise SplError(f"Error in '{command}' command: The argument is missing: a list of fields.")

    def run(events: Iterator[Event]) -> Iterator[Event]:
        ordered = list(events)
        for name, down, as_text in reversed(keys):
            have = [event for event in ordered if event.get(name) is not None]
            lack = [event for event in ordered if event.get(name) is None]
            have.sort(key=lambda event: _key(event.get(name), as_text=as_text), reverse=down)
            ordered = have + lack
        if turned:
            ordered.reverse()
        return iter(ordered[:limit] if limit else ordered)

    return run


def _enclosed(reader: Reader) -> str:
    reader.expect("(")
    name = unquoted(reader.take())
    reader.expect(")")
    return name


def _key(value: Any, *, as_text: bool) -> tuple[int, float, str]:
    return (1, 0.0, text(value)) if as_text else sort_key(value)


def _dedup(reader: Reader) -> Command:
    count = _number(reader, 1)
    known = ("keepevents", "keepempty", "consecutive")
    options = reader.options(*known)
    names = []
    while reader.peek() is not None and not reader.accept("sortby"):
        options |= reader.options(*known)
        names += [] if reader.accept(",") or reader.peek() is None else [unquoted(reader.take())]
    if not names:
        raise SplError("Error in 'dedup' command: The argument is missing: a list of fields.")
    ordered = _sorted(reader, 0, "dedup") if reader.peek() is not None else None
    keep_empty, in_a_row = (options.get(name, "f").lower() in _YES for name in known[1:])

    def run(events: Iterator[Event]) -> Iterator[Event]:
        seen: dict[tuple[str, ...], int] = {}
        for event in ordered(events) if ordered else events:
            values = [event.get(name) for name in names]
            if None in values:
                if keep_empty:
                    yield event
                continue
            key = tuple(map(text, values))
            if in_a_row and key not in seen:
                seen = {}
            seen[key] = seen.get(key, 0) + 1
            if seen[key] <= count:
                yield event

    return run


def _head(reader: Reader) -> Command:
    limit = int(reader.options("limit").get("limit", 0)) or _number(reader, 10)
    return lambda events: islice(events, limit)


def _tail(reader: Reader) -> Command:
    limit = int(reader.options("limit").get("limit", 0)) or _number(reader, 10)
    # The last ones, the very last first.
    return lambda events: reversed(list(events)[-limit:])


def _fillnull(reader: Reader) -> Command:
    value = reader.options("value").get("value", "0")
    names = reader.names()

    def run(events: Iterator[Event]) -> Iterator[Event]:
        kept: Iterable[Event] = events
        wanted = names
        if not wanted:
            kept = list(events)
            wanted = list(dict.fromkeys(name for event in kept for name in event.names()))
        for event in kept:
            for name in wanted:
                if event.get(name) is None:
                    event.set(name, value)
            yield event

    return run


def _bin(reader: Reader) -> Command:
    spans = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
    span = ""
    names = []
    while reader.peek() is not None:
        span = reader.options("span").get("span", span)
        if reader.peek() is not None:
            names.append(unquoted(reader.take()))
            if reader.accept("AS", "as"):
                names.append(unquoted(reader.take()))
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd]?)", span)
    if match is None or not names:
        raise SplError("Error in 'bin' command: A field and a span are wanted.")
    size = float(match[1]) * spans.get(match[2], 1)

    def change(event: Event) -> None:
        value = number(event.get(names[0]))
        if value is not None:
            event.set(names[-1], value // size * size)

    return each(change)


def _makeresults(reader: Reader) -> Command:
    count = int(reader.options("count").get("count", 1))
    return lambda _events: (Event.of({"_time": float(int(time.time()))}) for _ in range(count))


COMMANDS: Final[Mapping[str, Kind]] = {
    "search": Kind(_search),
    "where": Kind(_where),
    "eval": Kind(_eval),
    "fields": Kind(_fields, shapes=True),
    "table": Kind(_table, shapes=True),
    "rename": Kind(_rename),
    "replace": Kind(_replace),
    "sort": Kind(_sort),
    "dedup": Kind(_dedup),
    "head": Kind(_head),
    "tail": Kind(_tail),
    "reverse": Kind(lambda _reader: lambda events: reversed(list(events))),
    "rex": Kind(rex),
    "regex": Kind(regex),
    "spath": Kind(spath),
    "mvexpand": Kind(mvexpand),
    "makemv": Kind(makemv),
    "nomv": Kind(nomv),
    "fillnull": Kind(_fillnull),
    "bin": Kind(_bin),
    "bucket": Kind(_bin),
    "stats": Kind(stats, shapes=True),
    "eventstats": Kind(eventstats),
    "streamstats": Kind(streamstats),
    "top": Kind(ranked("top", rarest=False), shapes=True),
    "rare": Kind(ranked("rare", rarest=True), shapes=True),
    "makeresults": Kind(_makeresults, shapes=True, generates=True),
}
