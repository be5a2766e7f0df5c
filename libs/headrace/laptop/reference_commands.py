"""The page of the commands, generated from the command line itself."""

from collections.abc import Iterator
from enum import Enum
from typing import Any, Final

from headrace.laptop.reference import table

_HEAD: Final = """\
# Commands

`make docs` writes this page from the command line; `headrace COMMAND --help` shows the same.

Every command exits with 0 if it did what it says, with 1 and one line on stderr if it could not, and with 2 if it
was not understood.
`headrace --version` shows the version; `headrace --install-completion` teaches your shell to complete commands and
options.
"""
# Every command has it.
_HELP: Final = "--help"


def commands_page(root: Any) -> str:
    """Return the page in Markdown: the commands by panel, then each with its arguments and options."""
    panels: dict[str, list[Any]] = {}
    for name in root.list_commands(None):
        panels.setdefault(root.commands[name].rich_help_panel, []).append(root.commands[name])
    parts = [_HEAD]
    for panel, commands in panels.items():
        parts.append(f"## {panel}\n")
        parts += [part for command in commands for part in _sections((command.name,), command)]
    return "\n".join(parts)


def _sections(words: tuple[str, ...], command: Any) -> Iterator[str]:
    below = getattr(command, "commands", {})
    if below:
        yield f"### headrace {' '.join(words)}\n\n{_prose(command.help)}\n"
        for name, found in below.items():
            yield from _sections((*words, name), found)
        return
    arguments = [item for item in command.params if item.param_type_name == "argument"]
    options = [item for item in command.params if item.param_type_name == "option" and _HELP not in item.opts]
    usage = " ".join(["headrace", *words, *(["[OPTIONS]"] if options else []), *map(_usage, arguments)])
    yield f"{'#' * (2 + len(words))} headrace {' '.join(words)}\n\n{_prose(command.help)}\n\n```\n{usage}\n```\n"
    if arguments or options:
        rows = [(f"`{_shown(item)}`", item.help or "") for item in arguments]
        rows += [(_names(item), _meaning(item)) for item in options]
        yield table(("argument or option", "meaning"), rows)


def _shown(argument: Any) -> str:
    return str(argument.metavar or argument.name.upper())


def _usage(argument: Any) -> str:
    words = f"{_shown(argument)}{'…' if argument.nargs == -1 else ''}"
    return words if argument.required else f"[{words}]"


def _names(option: Any) -> str:
    value = "" if option.is_flag else f" {option.metavar or option.display_type(None)}"
    return ", ".join(f"`{name}{value}`" for name in (*option.opts, *option.secondary_opts))


def _meaning(option: Any) -> str:
    notes = []
    default = option.default.value if isinstance(option.default, Enum) else option.default
    is_plain = isinstance(default, str | int | float) and not isinstance(default, bool)
    if default not in (None, "") and (is_plain or hasattr(default, "parts")):
        notes.append(f"default: `{default}`")
    if option.envvar:
        notes.append(f"from `{option.envvar}`")
    if option.required:
        notes.append("required")
    return _prose(option.help) + (f" ({'; '.join(notes)})" if notes else "")


def _prose(text: str | None) -> str:
    return " ".join((text or "").split())
