"""A part of Splunk's search language, read from its text and run over events.

    search = parse('search index=main verb=create | stats count BY user.name')
    for event in search.run(events):
        event.shown(shaped=search.shaped)

`commands.COMMANDS` and the tables of `functions` say what is known; anything else is refused, as Splunk refuses what it
does not know.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from headrace.local.simulators.spl.commands import COMMANDS
from headrace.local.simulators.spl.kinds import Command, Kind
from headrace.local.simulators.spl.reading import Reader, SplError, pipeline, wildcard
from headrace.local.simulators.spl.terms import SearchTerms, Test
from headrace.local.simulators.spl.values import Event

__all__ = ["Event", "Search", "SplError", "parse"]


@dataclass
class Search:
    """A parsed pipeline. ``needles`` are texts an event must hold somewhere, lower case, to match at all."""

    matches: Test
    needles: tuple[str, ...] = ()
    indexes: tuple[str, ...] = ()
    # Bounds of the window that the text itself has: ``earliest``, ``latest``.
    times: Mapping[str, str] = field(default_factory=dict)
    # It makes its own events, and looks at no index.
    generates: bool = False
    commands: list[Command] = field(default_factory=list)
    # Whether a command has said which fields there are.
    shaped: bool = False

    def run(self, events: Iterator[Event]) -> Iterable[Event]:
        """The events that are left, with the fields they are left with."""
        return self.through(events if self.generates else filter(self.matches, events))

    def through(self, events: Iterable[Event]) -> Iterable[Event]:
        """The same for events that match."""
        found = events
        for command in self.commands:
            found = command(iter(found))
        return found

    def reads(self, index: str) -> bool:
        """Whether it may find something there; unless it names one, in every index that is not Splunk's own."""
        if not self.indexes:
            return not index.startswith("_")
        return wildcard(*self.indexes).fullmatch(index) is not None


def parse(text: str, more: Mapping[str, Kind] | None = None) -> Search:
    """Read a search, which ``more`` commands may have; raises `SplError`."""
    known = {**COMMANDS, **(more or {})}
    head, *rest = (_named(command, known) for command in pipeline(text))
    name, reader = head
    if name == "search" and not text.lstrip().startswith("|"):
        terms = SearchTerms(reader)
        search = Search(terms.test, tuple(terms.needles), tuple(terms.indexes), terms.times)
    elif known[name].generates:
        search = Search(lambda _event: True, generates=True)
        rest = [head, *rest]
    else:
        raise SplError(f"Error in '{name}' command: This command cannot be the first command in a search.")
    for name, reader in rest:
        kind = known[name]
        if kind.generates and search.commands:
            raise SplError(f"Error in '{name}' command: This command must be the first command of a search.")
        search.commands.append(_built(name, kind, reader))
        search.shaped = search.shaped or kind.shapes
    return search


def _built(name: str, kind: Kind, reader: Reader) -> Command:
    try:
        command = kind.build(reader)
    except ValueError as error:
        raise SplError(f"Error in '{name}' command: An argument is invalid: {error}.") from None
    reader.end()
    return command


def _named(command: str, known: Mapping[str, Kind]) -> tuple[str, Reader]:
    reader = Reader(command)
    word = reader.peek()
    name = word.text.lower() if word and word.kind == "word" else command.split(maxsplit=1)[0]
    if name not in known:
        raise SplError(f"Unknown search command '{name}'.")
    reader.take()
    return name, reader
