"""`docs`: the configuration page, generated from the settings."""

import json
import types
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_settings import NoDecode

from headrace.bus.consumption import Consumption
from headrace.cli.output import Output
from headrace.runtime.errors import ConfigurationError
from headrace.runtime.settings import EngineSettings, ProcessSettings, environment_name
from headrace.service.declarations import SettingsClass, settings_of, without_effect
from headrace.service.row import Service

_HEAD: Final = """\
# Configuration

`make docs` writes this page from the settings in the code; edit the descriptions there.

Every setting is an environment variable that is read once at start.
A variable that is set to the empty string counts as unset.
If a value is invalid, the process exits with an error that names the variable.
Variables that do not begin with `HEADRACE`, `ARCHIVER` or `PAYLOAD_TRACKER` are upstream's.
"""
_WORDS: Final[dict[Any, str]] = {str: "text", int: "whole number", float: "number", bool: "`true` or `false`"}
_BOUNDS: Final = (("gt", "more than"), ("ge", "at least"), ("lt", "less than"), ("le", "at most"))


def configuration_page(rows: Sequence[Service]) -> str:
    """Return the page in Markdown: what every process reads, then each service's own settings."""
    sections = [
        _HEAD,
        _section("The backing engines", EngineSettings),
        _roles(rows),
        _section("The process", ProcessSettings),
        _ports(rows),
        _consumers(rows),
        _changes(rows),
    ]
    for row in rows:
        if kinds := settings_of(row):
            sections.append(_section(f"Service `{row.name}`", *kinds))
        if idle := without_effect(row):
            sections.append(_without_effect(row, idle))
    return "\n".join(sections)


def write_page(path: Path, text: str) -> None:
    """Write a page; raises ConfigurationError if the directory does not exist."""
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"cannot write {path}: {error.strerror}") from error
    Output().line(str(path))


def table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    return "".join(_line(cells) for cells in (headers, ["---"] * len(headers), *rows))


def _section(title: str, *kinds: SettingsClass) -> str:
    """Return a section; a variable that two classes of a service read appears once, as in the first class."""
    rows: dict[str, tuple[str, ...]] = {}
    for kind in kinds:
        for row in _rows(kind):
            rows.setdefault(row[0], row)
    lines = [("variable", "type", "default", "meaning"), ("---", "---", "---", "---"), *rows.values()]
    return f"## {title}\n\n" + "".join(_line(cells) for cells in lines)


def _rows(kind: SettingsClass) -> Iterator[tuple[str, ...]]:
    for name, field in kind.model_fields.items():
        variable = f"`{environment_name(kind, name)}`"
        yield variable, _type(field), _default(field), field.description or ""


def _roles(rows: Sequence[Service]) -> str:
    may = {"owns": "owns it", "writes": "reads and writes rows", "reads": "reads"}
    lines = [("variable", "service", "database", "may"), ("---", "---", "---", "---")]
    lines += [
        (f"`{row.role_variable}`", row.name, f"`{row.database}`", may[row.access])
        for row in rows
        if row.database
    ]
    return (
        "## Roles in PostgreSQL\n\n"
        "Each variable is a URL like `postgresql://user:password@host:5432/` with the service's own role; the service "
        "uses it instead of `HEADRACE_POSTGRES`.\n"
        "`headrace init` creates roles, databases and grants from these URLs and an administrator's "
        "`HEADRACE_POSTGRES`.\n\n" + "".join(_line(cells) for cells in lines)
    )


def _ports(rows: Sequence[Service]) -> str:
    lines = [("variable", "default", "service"), ("---", "---", "---")]
    lines += [(f"`{row.port_variable}`", f"`{row.port}`", row.name) for row in rows if row.port_variable]
    return "## Where services listen\n\n" + "".join(_line(cells) for cells in lines)


def _consumers(rows: Sequence[Service]) -> str:
    lines = [
        ("service", "topic", "group", "only where", "handlers at once", "deadline of an attempt, seconds"),
        ("---", "---", "---", "---", "---", "---"),
    ]
    lines += [
        (
            row.name,
            f"`{item.topic.name}`",
            f"`{item.group}`",
            f"header `{item.header}` is {_values(item)}" if item.header else "",
            str(item.concurrency),
            f"{item.deadline_seconds:g}",
        )
        for row in rows
        for item in row.consumes
    ]
    return "## What services consume\n\n" + "".join(_line(cells) for cells in lines)


def _values(item: Consumption) -> str:
    return ", ".join(f"`{value}`" for value in sorted(item.values))


def _changes(rows: Sequence[Service]) -> str:
    lines = [("service", "what", "in the table", "with a setting"), ("---", "---", "---", "---")]
    for row in rows:
        for item in row.consumes:
            terms = {
                "topic": ("topic that it consumes", f"`{item.topic.name}`"),
                "group": (f"group on `{item.topic.name}`", f"`{item.group}`"),
                "values": (f"values of the header `{item.header}`", _values(item)),
                "concurrency": (f"handlers at once of `{item.topic.name}`", str(item.concurrency)),
                "deadline_seconds": (
                    f"deadline on `{item.topic.name}`, seconds",
                    f"{item.deadline_seconds:g}",
                ),
            }
            lines += [(row.name, *terms[term], setting.text) for term, setting in item.set_by.items()]
        for name, setting in row.set_by.items():
            kind = "bucket" if name in row.buckets else "topic that it sends to"
            lines.append((row.name, kind, "nothing" if setting.is_opt_in else f"`{name}`", setting.text))
    return (
        "## Settings that change the services' table\n\n"
        "`headrace services` shows the table as these settings change it, and `headrace init` makes topics and buckets "
        "under the names that they give.\n\n" + "".join(_line(cells) for cells in lines)
    )


def _without_effect(row: Service, idle: Mapping[str, str]) -> str:
    lines = [
        ("variable", "reason"),
        ("---", "---"),
        *((f"`{name}`", reason) for name, reason in idle.items()),
    ]
    return f"### Variables without effect in `{row.name}`\n\n" + "".join(_line(cells) for cells in lines)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |\n"


def _type(field: FieldInfo) -> str:
    bounds = [
        f"{words} {getattr(item, bound)}"
        for bound, words in _BOUNDS
        for item in field.metadata
        if getattr(item, bound, None) is not None
    ]
    return ", ".join([_word(field.annotation, encoded=NoDecode not in field.metadata), *bounds])


def _word(annotation: Any, *, encoded: bool) -> str:
    """Return the word for a type. ``encoded``: a collection is written in JSON, not in its own notation."""
    origin = get_origin(annotation)
    if origin in {Union, types.UnionType}:
        return _word(next(item for item in get_args(annotation) if item is not type(None)), encoded=encoded)
    if origin is dict:
        return "JSON object"
    if origin in {frozenset, list, tuple}:
        return "JSON list" if encoded else "list"
    return _WORDS[annotation]


def _default(field: FieldInfo) -> str:
    value = field.default
    if value is None or value == "" or (isinstance(value, (frozenset, dict)) and not value):
        return ""
    if not field.repr:
        return "(not shown)"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, frozenset):
        return f"`{','.join(sorted(value))}`"
    if isinstance(value, dict):
        return f"`{json.dumps(value, default=_plain)}`"
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"


def _plain(value: BaseModel) -> dict[str, Any]:
    return value.model_dump(exclude_defaults=True)
