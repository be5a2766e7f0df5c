"""Fills the texts of rules' content with a hit's details, in the part of doT's language that such texts use.

``{{=pydata.name}}`` shows a value, ``{{~pydata.list :item:index}}...{{~}}`` repeats, and
``{{?pydata.name}}...{{??}}...{{?}}`` chooses; a path may end in ``.length``. Nothing is evaluated: what is no path
shows nothing, and other tags stay as they stand in the text.
"""

import operator as operators
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

# Of one filled text; a hit's details may repeat a text for ever.
_MAX_CHARACTERS: Final = 64 << 10
_MAX_DEPTH: Final = 8
_MARKS: Final = re.compile(r"\{\{(?P<left>-?)(?P<body>.*?)(?P<right>-?)\}\}", re.DOTALL)
_PATH: Final = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*|\[(?:'[^']*'|\"[^\"]*\"|[0-9]+)\])*")
_STEP: Final = re.compile(r"\.?([A-Za-z_]\w*)|\[(?:'([^']*)'|\"([^\"]*)\"|([0-9]+))\]")
_LOOP: Final = re.compile(r"~\s*(?P<path>.+?)\s*:\s*(?P<item>\w+)\s*(?::\s*(?P<index>\w+)\s*)?")
_COMPARED: Final = re.compile(
    r"(?P<path>.+?)\s*(?P<operator>===?|!==?|>=|<=|>|<)\s*(?P<value>-?[0-9]+|'[^']*'|\"[^\"]*\")"
)
# What would end a line, or make a terminal or a reader see something else than there is.
_CONTROLS: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]+")
_MISSING: Final = object()
_ORDERS: Final[dict[str, Callable[[int, int], bool]]] = {
    ">": operators.gt,
    "<": operators.lt,
    ">=": operators.ge,
    "<=": operators.le,
}

Scope: TypeAlias = Mapping[str, Any]


@dataclass
class _Block:
    """Text and tags up to the end of a loop or a choice; ``parts`` has a branch for each ``??`` of a choice."""

    head: str
    parts: list[tuple[str, list["str | _Block"]]] = field(default_factory=list)


class _TooLong(Exception):
    pass


def fill(template: str, details: Any) -> str:
    """Return the text with the details, which it knows as ``pydata``; one that cannot be read stays as it is."""
    if "{{" not in template:
        return template
    try:
        blocks = _parsed(_tokens(template))
    except ValueError:
        return template
    written: list[str] = []
    try:
        _write(blocks, {"pydata": details}, _Text(written), 0)
    except _TooLong:
        written.append("…")
    return "".join(written)


class _Text:
    def __init__(self, written: list[str]) -> None:
        self._written = written
        self._left = _MAX_CHARACTERS

    def add(self, text: str) -> None:
        self._left -= len(text)
        if self._left < 0:
            raise _TooLong
        self._written.append(text)


def _tokens(template: str) -> Iterator[tuple[str, str]]:
    """``("text", …)`` and ``("tag", …)``; a dash in a tag's mark takes the space on its side away."""
    at, strip = 0, False
    for match in _MARKS.finditer(template):
        text = template[at : match.start()]
        text = text.lstrip() if strip else text
        yield "text", text.rstrip() if match["left"] else text
        # doT writes the dash of `{{~` next to the mark of its kind.
        yield "tag", match["body"].strip()
        at, strip = match.end(), bool(match["right"])
    rest = template[at:]
    yield "text", rest.lstrip() if strip else rest


def _parsed(tokens: Iterator[tuple[str, str]]) -> list["str | _Block"]:
    root: list[str | _Block] = []
    stack: list[_Block] = []
    current = root
    for kind, text in tokens:
        if kind == "text":
            current.append(text)
        elif text.startswith("~") or (text.startswith("?") and not text.startswith("??")):
            if text.strip() in {"~", "?"}:
                if not stack or stack[-1].head[0] != text[0]:
                    raise ValueError("an end without a beginning")
                stack.pop()
                current = stack[-1].parts[-1][1] if stack else root
                continue
            block = _Block(text, [(text[1:].strip(), [])])
            current.append(block)
            stack.append(block)
            current = block.parts[-1][1]
        elif text.startswith("??"):
            if not stack or stack[-1].head[0] != "?":
                raise ValueError("a branch without a choice")
            stack[-1].parts.append((text[2:].strip() or "", []))
            current = stack[-1].parts[-1][1]
        else:
            current.append(_Block(text))
    if stack:
        raise ValueError("a beginning without an end")
    return root


def _write(blocks: list["str | _Block"], scope: Scope, text: _Text, depth: int) -> None:
    if depth > _MAX_DEPTH:
        raise _TooLong
    for block in blocks:
        if isinstance(block, str):
            text.add(block)
        elif not block.parts:
            text.add(_value(block.head, scope))
        elif block.head.startswith("~"):
            _repeat(block, scope, text, depth)
        else:
            for condition, inner in block.parts:
                if not condition or _holds(condition, scope):
                    _write(inner, scope, text, depth + 1)
                    break


def _repeat(block: _Block, scope: Scope, text: _Text, depth: int) -> None:
    loop = _LOOP.fullmatch(block.head)
    items = _found(loop["path"], scope) if loop else _MISSING
    if loop is None or not isinstance(items, list):
        return
    for number, item in enumerate(items):
        inner = {**scope, loop["item"]: item} | ({loop["index"]: number} if loop["index"] else {})
        _write(block.parts[0][1], inner, text, depth + 1)


def _value(tag: str, scope: Scope) -> str:
    if tag[:1] not in {"=", "!"}:
        return "{{" + tag + "}}"
    value = _found(tag[1:].strip(), scope)
    if value is _MISSING or value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        value = ", ".join(str(item) for item in value)
    return _CONTROLS.sub(" ", str(value))


def _holds(condition: str, scope: Scope) -> bool:
    """Whether a condition holds: a path, ``!`` before it, or a comparison of one with a number or a text."""
    if condition.startswith("!"):
        return not _holds(condition[1:].strip(), scope)
    compared = _COMPARED.fullmatch(condition)
    if compared is None:
        value = _found(condition, scope)
        # An empty list is true in doT's language.
        return value is not _MISSING and (bool(value) or isinstance(value, list | dict))
    found = _found(compared["path"].strip(), scope)
    text = compared["value"]
    wanted: Any = text[1:-1] if text[0] in "'\"" else int(text)
    operator = compared["operator"]
    if operator[0] in "=!":
        return bool(found == wanted) == (operator[0] == "=")
    if type(found) is not int or type(wanted) is not int:
        return False
    return bool(_ORDERS[operator](found, wanted))


def _found(path: str, scope: Scope) -> Any:
    if _PATH.fullmatch(path) is None:
        return _MISSING
    value: Any = scope
    for name, single, double, index in _STEP.findall(path):
        key = name or single or double
        if index:
            at = int(index)
            value = value[at] if isinstance(value, list) and at < len(value) else _MISSING
        elif isinstance(value, Mapping):
            value = value.get(key, _MISSING)
        elif key == "length" and isinstance(value, list | str):
            value = len(value)
        else:
            return _MISSING
        if value is _MISSING:
            return _MISSING
    return value
