"""What a command is: built of its words, it gives events for events."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from headrace.local.simulators.spl.reading import Reader
from headrace.local.simulators.spl.values import Event

Command = Callable[[Iterator[Event]], Iterable[Event]]
Build = Callable[[Reader], Command]


@dataclass(frozen=True)
class Kind:
    """A command. ``shapes``: what its events show is theirs alone; ``generates``: it begins a pipeline."""

    build: Build
    shapes: bool = False
    generates: bool = False


def each(change: Callable[[Event], None]) -> Command:
    """One that changes its events one by one."""

    def command(events: Iterator[Event]) -> Iterator[Event]:
        for event in events:
            change(event)
            yield event

    return command
