"""The functions of ``eval``: a table of what they are of values, and one of those that choose what they look at."""

import hashlib
import inspect
import math
import operator
import re
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import unquote_plus

import orjson

from headrace.local.simulators.spl.paths import at_path
from headrace.local.simulators.spl.reading import SplError
from headrace.local.simulators.spl.values import (
    Evaluate,
    Event,
    first,
    number,
    order,
    scalar,
    several,
    sort_key,
    text,
    truth,
)
from headrace.local.simulators.splunk_time import parse_time


def pattern_of(pattern: Any, flags: int = 0) -> re.Pattern[str]:
    """Splunk's regular expressions are PCRE, whose named groups lack a letter. Raises `SplError`."""
    try:
        return re.compile(re.sub(r"\(\?<(?=[A-Za-z_])", "(?P<", text(pattern)), flags)
    except re.error as error:
        raise SplError(f"Error in 'EvalCommand': The regex '{text(pattern)}' is invalid. {error}") from None


def _if(test: Evaluate, yes: Evaluate, no: Evaluate) -> Evaluate:
    return lambda event: yes(event) if truth(test(event)) else no(event)


def _case(*arguments: Evaluate) -> Evaluate:
    pairs = list(zip(arguments[::2], arguments[1::2], strict=True))
    return lambda event: next((value(event) for test, value in pairs if truth(test(event))), None)


def _validate(*arguments: Evaluate) -> Evaluate:
    pairs = list(zip(arguments[::2], arguments[1::2], strict=True))
    return lambda event: next((value(event) for test, value in pairs if not truth(test(event))), None)


def _coalesce(*arguments: Evaluate) -> Evaluate:
    return lambda event: next((found for item in arguments if (found := item(event)) is not None), None)


class _Json(str):
    """A text that a function has made as JSON: within another it is no text."""

    __slots__ = ()


def _json_object(*arguments: Evaluate) -> Evaluate:
    pairs = list(zip(arguments[::2], arguments[1::2], strict=True))
    return lambda event: _Json(
        orjson.dumps({text(key(event)): _plain(value(event)) for key, value in pairs}).decode()
    )


def _json_array(*arguments: Evaluate) -> Evaluate:
    return lambda event: _Json(orjson.dumps([_plain(item(event)) for item in arguments]).decode())


def _mvappend(*arguments: Evaluate) -> Evaluate:
    return lambda event: [value for item in arguments for value in several(item(event))] or None


class _ValueByValue(Event):
    """An event that has one of its values at a time in the field that is asked for."""

    def __init__(self, event: Event) -> None:
        super().__init__(event.raw)
        self._event = event
        self.at = 0
        self.values: list[Any] = []

    def get(self, name: str) -> Any:
        self.values = several(self._event.get(name))
        return self.values[self.at] if self.at < len(self.values) else None


def _mvfilter(test: Evaluate) -> Evaluate:
    def evaluate(event: Event) -> Any:
        single = _ValueByValue(event)
        kept: list[Any] = []
        while True:
            fits = truth(test(single))
            if single.at >= len(single.values):
                return kept or None
            if fits:
                kept.append(single.values[single.at])
            single.at += 1

    return evaluate


# These look at what they need, or take nothing for a value.
_CHOOSING: Final[Mapping[str, Callable[..., Evaluate]]] = {
    "if": _if,
    "case": _case,
    "validate": _validate,
    "coalesce": _coalesce,
    "isnull": lambda value: lambda event: value(event) is None,
    "isnotnull": lambda value: lambda event: value(event) is not None,
    "json_object": _json_object,
    "json_array": _json_array,
    "mvappend": _mvappend,
    "mvfilter": _mvfilter,
    "true": lambda: lambda _event: True,
    "false": lambda: lambda _event: False,
    "null": lambda: lambda _event: None,
    "now": lambda: lambda _event: int(time.time()),
    "time": lambda: lambda _event: time.time(),
    "typeof": lambda value: lambda event: _type(value(event)),
}


def _plain(value: Any) -> Any:
    """A value in JSON."""
    if isinstance(value, _Json):
        return orjson.Fragment(value.encode())
    return [_plain(item) for item in value] if isinstance(value, list) else value


def _type(value: Any) -> str:
    if value is None:
        return "Invalid"
    if isinstance(value, bool):
        return "Boolean"
    return "Number" if number(value) is not None else "String"


def _mvindex(values: Any, start: Any, end: Any = None) -> Any:
    items, begin, last = several(values), number(start), number(start if end is None else end)
    if begin is None or last is None:
        return None
    low, high = (int(place) + (len(items) if place < 0 else 0) for place in (begin, last))
    found = items[low : high + 1] if low >= 0 else []
    return found[0] if len(found) == 1 else found or None


def _mvfind(values: Any, pattern: Any) -> int | None:
    sought = pattern_of(pattern)
    return next((at for at, item in enumerate(several(values)) if sought.search(text(item))), None)


def _mvzip(left: Any, right: Any, separator: Any = ",") -> list[str]:
    pairs = zip(several(left), several(right), strict=False)
    return [f"{text(one)}{separator}{text(other)}" for one, other in pairs]


def _like(values: Any, pattern: Any) -> bool:
    parts = re.split("([%_])", text(pattern))
    shape = re.compile("".join({"%": ".*", "_": "."}.get(part, re.escape(part)) for part in parts), re.DOTALL)
    return any(shape.fullmatch(text(item)) for item in several(values))


def _replace(value: Any, pattern: Any, replacement: Any) -> str:
    try:
        return pattern_of(pattern).sub(re.sub(r"\\(\d)", r"\\g<\1>", text(replacement)), text(first(value)))
    except (re.error, IndexError) as error:
        raise SplError(f"Error in 'EvalCommand': The replacement is invalid. {error}") from None


def _substr(value: Any, start: Any, length: Any = None) -> str | None:
    found, at = text(first(value)), number(start)
    if at is None:
        return None
    begin = int(at) - 1 if at > 0 else max(len(found) + int(at), 0)
    size = number(length)
    return found[begin:] if size is None else found[begin : begin + int(size)]


def _tonumber(value: Any, base: Any = 10) -> int | float | None:
    if base == 10:
        return number(value)
    with suppress(ValueError):
        return int(text(first(value)), int(base))
    return None


def _tostring(value: Any, form: Any = "") -> str:
    amount = number(value)
    if form == "hex" and amount is not None:
        return f"0x{int(amount):X}"
    if form == "commas" and amount is not None:
        return f"{amount:,.2f}" if isinstance(amount, float) else f"{amount:,}"
    if form == "duration" and amount is not None:
        days, seconds = divmod(int(amount), 86_400)
        return f"{days}+" * bool(days) + f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    return text(value)


def _round(value: Any, places: Any = 0) -> int | float | None:
    amount, digits = number(value), number(places)
    if amount is None or digits is None:
        return None
    # Halves go away from zero.
    scale = 10 ** int(digits)
    rounded = math.copysign(math.floor(abs(amount) * scale + 0.5), amount) / scale
    return rounded if digits > 0 else int(rounded)


def _json_extract(source: Any, *paths: Any) -> Any:
    if not paths:
        return source
    found = [at_path(first(source), text(path)) for path in paths]
    return found[0] if len(found) == 1 else orjson.dumps([_plain(item) for item in found]).decode()


def _json(source: Any) -> Any:
    """The document, or None where the text is none."""
    with suppress(ValueError):
        return orjson.loads(text(first(source)))
    return None


def _json_keys(source: Any) -> str | None:
    document = _json(source)
    return orjson.dumps(list(document)).decode() if isinstance(document, dict) else None


def _json_to_values(source: Any) -> list[Any] | None:
    document = _json(source)
    return [scalar(item) for item in document] if isinstance(document, list) else None


_DIGITS: Final = re.compile(r"%(\d)?[NQ]")


def _strftime(moment: Any, form: Any) -> str | None:
    seconds = number(moment)
    if seconds is None:
        return None
    at = datetime.fromtimestamp(seconds, UTC)
    parts = _DIGITS.sub(lambda match: f"{at.microsecond:06}000"[: int(match[1] or 3)], text(form))
    return at.strftime(parts)


def _strptime(value: Any, form: Any) -> float | None:
    with suppress(ValueError):
        at = datetime.strptime(text(first(value)), _DIGITS.sub("%f", text(form)))  # noqa: DTZ007 -- below
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
    return None


def _relative_time(moment: Any, modifier: Any) -> float | None:
    seconds = number(moment)
    with suppress(ValueError):
        if seconds is not None:
            return parse_time(text(modifier), datetime.fromtimestamp(seconds, UTC))
    return None


def _numeric(function: Callable[..., Any]) -> Callable[..., Any]:
    def calculated(*values: Any) -> Any:
        amounts = [number(value) for value in values]
        with suppress(ValueError, OverflowError, ZeroDivisionError):
            return None if None in amounts else function(*amounts)
        return None

    calculated.__signature__ = inspect.signature(function)  # type: ignore[attr-defined] # how many it takes
    return calculated


def _digest(name: str) -> Callable[[Any], str]:
    return lambda value: hashlib.new(name, text(first(value)).encode(), usedforsecurity=False).hexdigest()


# These are None where one of their values is.
_OF_VALUES: Final[Mapping[str, Callable[..., Any]]] = {
    "isnum": lambda value: number(value) is not None,
    "isint": lambda value: isinstance(number(value), int),
    "isstr": lambda value: number(value) is None and not isinstance(value, bool),
    "isbool": lambda value: isinstance(value, bool),
    "nullif": lambda value, other: None if order(value, other) == 0 else value,
    "in": lambda value, *choices: any(
        order(item, choice) == 0 for item in several(value) for choice in choices
    ),
    "like": _like,
    "match": lambda values, pattern: any(map(pattern_of(pattern).search, map(text, several(values)))),
    "replace": _replace,
    "lower": lambda value: text(first(value)).lower(),
    "upper": lambda value: text(first(value)).upper(),
    "len": lambda value: len(text(first(value))),
    "substr": _substr,
    "trim": lambda value, what=" \t": text(first(value)).strip(text(what)),
    "ltrim": lambda value, what=" \t": text(first(value)).lstrip(text(what)),
    "rtrim": lambda value, what=" \t": text(first(value)).rstrip(text(what)),
    "split": lambda value, by: text(first(value)).split(text(by)) if text(by) else list(text(first(value))),
    "urldecode": lambda value: unquote_plus(text(first(value))),
    "tonumber": _tonumber,
    "tostring": _tostring,
    "mvindex": _mvindex,
    "mvfind": _mvfind,
    "mvcount": lambda values: len(several(values)),
    "mvjoin": lambda values, by: text(by).join(map(text, several(values))),
    "mvdedup": lambda values: list(dict.fromkeys(several(values))),
    "mvsort": lambda values: sorted(several(values), key=text),
    "mvzip": _mvzip,
    "mvrange": lambda start, end, step=1: list(range(int(start), int(end), int(step))),
    "json_extract": _json_extract,
    "json_valid": lambda value: _json(value) is not None,
    "json_keys": _json_keys,
    "json_array_to_mv": _json_to_values,
    "spath": lambda source, path: at_path(first(source), text(path)),
    "strftime": _strftime,
    "strptime": _strptime,
    "relative_time": _relative_time,
    "md5": _digest("md5"),
    "sha1": _digest("sha1"),
    "sha256": _digest("sha256"),
    "max": lambda *values: max(values, key=sort_key),
    "min": lambda *values: min(values, key=sort_key),
    "round": _round,
    "abs": _numeric(abs),
    "ceiling": _numeric(math.ceil),
    "ceil": _numeric(math.ceil),
    "floor": _numeric(math.floor),
    "sqrt": _numeric(math.sqrt),
    "exp": _numeric(math.exp),
    "ln": _numeric(lambda value: math.log(value)),  # noqa: PLW0108 -- the function says not how many it takes
    "log": _numeric(lambda value, base=10: math.log(value, base)),
    "pow": _numeric(operator.pow),
    "exact": lambda value: value,
}


def function(name: str, arguments: Sequence[Evaluate]) -> Evaluate:
    """A call; raises `SplError` for one Splunk would refuse."""
    try:
        if name in _CHOOSING:
            return _CHOOSING[name](*arguments)
        if name in _OF_VALUES:
            inspect.signature(_OF_VALUES[name]).bind(*arguments)
            return _called(_OF_VALUES[name], arguments)
    except (TypeError, ValueError):
        raise SplError(
            f"Error in 'EvalCommand': The arguments to the '{name}' function are invalid."
        ) from None
    raise SplError(f"Error in 'EvalCommand': The '{name}' function is unsupported or undefined.")


def _called(of_values: Callable[..., Any], arguments: Sequence[Evaluate]) -> Evaluate:
    def evaluate(event: Event) -> Any:
        values = [argument(event) for argument in arguments]
        return None if None in values else of_values(*values)

    return evaluate
