"""`dead-letters`: lists and redrives dead letters."""

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import orjson

from headrace.bus import dead_letters
from headrace.bus.dead_letters import DeadLetter
from headrace.cli.output import Output, plain
from headrace.contracts.topics import DEAD_LETTER_SUFFIX
from headrace.run_file import checked_default, read_run
from headrace.runtime.errors import ConfigurationError
from headrace.runtime.settings import EngineSettings, environment_name, is_set, load
from headrace.service.resolution import resolved
from headrace.service.row import Service


def engines(directory: Path, needed: str) -> EngineSettings:
    """Return the engines of the environment, else of the stack that runs on the directory, else the defaults.

    Raises ConfigurationError where the needed one is at its default address, and nothing listens there.
    """
    run = read_run(directory)
    running = {
        row["name"]: row["url"]
        for row in (run or {"engines": []})["engines"]
        if not is_set(environment_name(EngineSettings, row["name"]))
    }
    settings = load(EngineSettings, **running)
    address = getattr(settings, needed)
    if run is None and address == EngineSettings.model_fields[needed].default:
        checked_default(directory, address)
    return settings


async def show_all(
    settings: EngineSettings, services: Sequence[Service], topic: str | None, *, as_json: bool
) -> None:
    """Print the dead letters of a topic, or of all topics that services consume."""
    found: list[DeadLetter] = []
    for name in _topics(services, topic):
        skipped: Counter[str] = Counter()
        found += await dead_letters.list_dead_letters(settings, name, skipped=skipped)
        _tell_skipped(name, skipped)
    if as_json:
        print(orjson.dumps([_plain(letter) for letter in found], option=orjson.OPT_INDENT_2).decode())
        return
    rows = [
        (
            letter.original_topic,
            letter.partition,
            letter.offset,
            f"{letter.dead_since:%Y-%m-%d %H:%M:%S}",
            letter.service,
            letter.error_class,
            letter.attempts,
            "yes" if letter.redriven else "",
            letter.reason,
        )
        for letter in found
    ]
    headers = ("topic", "partition", "offset", "since", "service", "error", "attempts", "redriven", "reason")
    Output().table(headers, rows)


async def show_one(settings: EngineSettings, topic: str, partition: int, offset: int) -> None:
    """Print one dead letter as JSON; raises ConfigurationError if it does not exist."""
    skipped: Counter[str] = Counter()
    letter = await dead_letters.show(settings, _dead(topic), partition, offset, skipped=skipped)
    _tell_skipped(_dead(topic), skipped)
    if letter is None:
        raise ConfigurationError(
            f"{_dead(topic)} has no dead letter at partition {partition}, offset {offset}"
        )
    print(orjson.dumps(_plain(letter), option=orjson.OPT_INDENT_2).decode())


async def put_back(
    settings: EngineSettings, services: Sequence[Service], topic: str | None, limit: int | None
) -> None:
    """Redrive dead letters; ``limit`` applies to each topic."""
    output = Output()
    for name in _topics(services, topic):
        skipped: Counter[str] = Counter()
        letters = await dead_letters.redrive(settings, name, limit=limit, skipped=skipped)
        output.line(f"{name}: {len(letters)} redriven")
        _tell_skipped(name, skipped)


def _tell_skipped(name: str, skipped: Counter[str]) -> None:
    """Report on stderr, because stdout may be JSON."""
    for reason, count in sorted(skipped.items()):
        print(f"{name}: {count} skipped: {plain(reason)}", file=sys.stderr, flush=True)


def _topics(services: Sequence[Service], topic: str | None) -> list[str]:
    if topic is not None:
        return [_dead(topic)]
    return sorted({item.topic.dead_letters for row in services for item in resolved(row).consumes})


def _dead(topic: str) -> str:
    return topic if topic.endswith(DEAD_LETTER_SUFFIX) else topic + DEAD_LETTER_SUFFIX


def _plain(letter: DeadLetter) -> dict[str, Any]:
    fields = asdict(letter)
    fields["key"] = _text(letter.key)
    fields["value"] = _text(letter.value)
    fields["headers"] = [[name, _text(value)] for name, value in letter.headers]
    return fields


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode(errors="replace")
