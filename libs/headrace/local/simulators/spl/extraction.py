"""The commands that find fields in texts and values in fields."""

import re
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from typing import Any, Final

import orjson

from headrace.local.simulators.spl.functions import pattern_of
from headrace.local.simulators.spl.kinds import Command, each
from headrace.local.simulators.spl.paths import at_path
from headrace.local.simulators.spl.reading import Reader, SplError, unquoted
from headrace.local.simulators.spl.values import Event, flatten, several, text

_SEDLIKE: Final = re.compile(
    r"s(?P<by>\W)(?P<sought>.*?)(?<!\\)(?P=by)(?P<put>.*?)(?<!\\)(?P=by)(?P<flags>[gi0-9]*)"
)


def rex(reader: Reader) -> Command:
    """Named groups of a regular expression become fields, or a field is rewritten as sed does."""
    options: dict[str, str] = {}
    pattern = ""
    known = ("field", "max_match", "mode", "offset_field")
    while reader.peek() is not None:
        options |= reader.options(*known)
        if reader.peek() is not None:
            pattern = unquoted(reader.take())
    field = options.get("field", "_raw")
    if options.get("mode") == "sed":
        return _sed(field, pattern)
    sought, most = pattern_of(pattern), int(options.get("max_match", 1))
    if not sought.groupindex:
        raise SplError(
            f"Error in 'rex' command: The regex '{pattern}' does not extract anything. "
            "It should specify at least one named group."
        )

    def change(event: Event) -> None:
        for value in several(event.get(field)):
            matches = list(islice(sought.finditer(text(value)), most or None))
            for name in sought.groupindex if matches else ():
                found = [match[name] for match in matches if match[name] is not None]
                event.set(name, found[0] if len(found) == 1 else found)

    return each(change)


def _sed(field: str, program: str) -> Command:
    match = _SEDLIKE.fullmatch(program)
    if match is None:
        raise SplError(f"Error in 'rex' command: Failed to initialize sed. Invalid option string: {program}")
    sought = pattern_of(match["sought"], re.IGNORECASE if "i" in match["flags"] else 0)
    put = re.sub(r"\\(\d)", r"\\g<\1>", match["put"])

    def change(event: Event) -> None:
        if (value := event.get(field)) is not None:
            event.set(field, sought.sub(put, text(value), count=0 if "g" in match["flags"] else 1))

    return each(change)


def regex(reader: Reader) -> Command:
    """Events whose field fits a regular expression, or does not."""
    name, wanted = "_raw", True
    if (match := reader.match(re.compile(r"""("[^"]*"|[^\s="!]+)\s*(!?=)\s*"""))) is not None:
        name, wanted = match[1].strip('"'), match[2] == "="
    sought = pattern_of(unquoted(reader.take()))
    return lambda events: (
        event
        for event in events
        if any(sought.search(text(item)) for item in several(event.get(name))) is wanted
    )


def spath(reader: Reader) -> Command:
    """What stands at a path of JSON, or all of it, becomes fields."""
    options: dict[str, str] = {}
    while reader.peek() is not None:
        options |= reader.options("input", "output", "path")
        if reader.peek() is not None:
            options["path"] = unquoted(reader.take())
    source, path = options.get("input", "_raw"), options.get("path", "")
    if not path and "output" in options:
        raise SplError("Error in 'spath' command: You have specified an output but no path.")

    def change(event: Event) -> None:
        given = several(event.get(source))
        if path:
            values = [value for item in given for value in several(at_path(text(item), path))]
            event.set(options.get("output", path), values[0] if len(values) == 1 else values)
            return
        found: dict[str, Any] = {}
        for item in given:
            with suppress(ValueError):
                flatten("", orjson.loads(text(item)), found)
        for name, value in found.items():
            event.set(name, value)

    return each(change)


def mvexpand(reader: Reader) -> Command:
    """An event for each value of a field."""
    name = unquoted(reader.take())
    limit = int(reader.options("limit").get("limit", 0))

    def run(events: Iterator[Event]) -> Iterator[Event]:
        for event in events:
            values = several(event.get(name))
            if not values:
                yield event
            for value in values[: limit or None]:
                single = event.copy()
                single.set(name, value)
                yield single

    return run


def makemv(reader: Reader) -> Command:
    """A text becomes several values."""
    options = reader.options("delim", "tokenizer", "allowempty")
    name = unquoted(reader.take())
    options |= reader.options("delim", "tokenizer", "allowempty")

    def change(event: Event) -> None:
        value = event.get(name)
        if value is not None and "tokenizer" in options:
            event.set(name, pattern_of(options["tokenizer"]).findall(text(value)))
        elif value is not None:
            event.set(name, [part for part in text(value).split(options.get("delim", " ")) if part])

    return each(change)


def nomv(reader: Reader) -> Command:
    """Several values become one text."""
    name = unquoted(reader.take())
    return each(lambda event: event.set(name, None if (found := event.get(name)) is None else text(found)))
