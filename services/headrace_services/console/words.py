"""Values as people read them. No I/O."""

import re
import unicodedata
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import orjson

from headrace.runtime.logging import redact

_KIB: Final = 1024
_UNITS: Final = ("B", "KiB", "MiB", "GiB", "TiB")
# Categories of characters that show nothing, or change how their neighbours are shown: controls, formats (with those
# that reverse the direction of text), surrogates, characters for private use, separators of lines and paragraphs.
_HIDDEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
_KEPT: Final = frozenset("\n\t")
MAX_TEXT: Final = 4000
# An archive's key is the longest name that there is.
_MAX_NAME: Final = 2048
_IDENTITY: Final = re.compile(r'("(?:b64_identity|x-rh-identity)"\s*:\s*")[^"]*', re.IGNORECASE)


def visible(value: Any, limit: int = MAX_TEXT) -> str:
    r"""Return text in which nothing is hidden, cut: controls and marks of direction appear as ``\\u202e``."""
    text = "" if value is None else str(value)
    cut = text[:limit]
    if not (cut.isascii() and cut.isprintable()):
        cut = "".join(_shown(character) for character in cut)
    return cut if len(text) <= limit else f"{cut}… ({len(text) - limit} more characters)"


def mask(text: str) -> str:
    """Return a record's text without what gives access: identities, tokens, the signatures of presigned URLs."""
    return redact(_IDENTITY.sub(r"\1(not shown)", text))


def _shown(character: str) -> str:
    if character in _KEPT or unicodedata.category(character) not in _HIDDEN:
        return character
    code = ord(character)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def is_plain(text: Any) -> bool:
    """Whether a text is short and hides nothing, so that it may be a link or be copied as it is."""
    return isinstance(text, str) and 0 < len(text) <= _MAX_NAME and visible(text) == text


def utf8(value: bytes | None) -> str:
    """Return bytes as text; what is no UTF-8 is replaced."""
    return (value or b"").decode(errors="replace")


def moment(value: Any) -> datetime | None:
    """Return a time as services write it; None for anything else."""
    if isinstance(value, datetime):
        return value.astimezone(UTC)
    if not isinstance(value, str):
        return None
    try:
        found = datetime.fromisoformat(value)
    except ValueError:
        return None
    return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)


def stamp(value: datetime) -> str:
    """Return a time to the second, in UTC."""
    return f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def span(seconds: float) -> str:
    """Return a duration with two units at most, such as ``3 min 20 s``."""
    if seconds < 0:
        return f"-{span(-seconds)}"
    if seconds < 1:
        return f"{round(seconds * 1000)} ms"
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    for size, name, below, lesser in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            more = whole % size // below
            return f"{whole // size} {name} {more} {lesser}" if more else f"{whole // size} {name}"
    return f"{whole} s"


def ago(then: datetime, now: datetime) -> str:
    """Return how long ago a time was."""
    passed = now - then
    if passed < timedelta(seconds=-1):
        return f"in {span(-passed.total_seconds())}"
    return "now" if passed < timedelta(seconds=1) else f"{span(passed.total_seconds())} ago"


def size(count: Any) -> str:
    """Return a number of bytes with its unit."""
    if not isinstance(count, int | float):
        return ""
    value, unit = float(count), 0
    while value >= _KIB and unit < len(_UNITS) - 1:
        value, unit = value / _KIB, unit + 1
    return f"{value:.0f} {_UNITS[unit]}" if unit == 0 or value >= 100 else f"{value:.1f} {_UNITS[unit]}"


def amount(resource: str, value: float) -> str:
    """Return an amount of CPU (cores) or memory (bytes) with its unit."""
    if resource == "memory":
        return size(value)
    cores = f"{value:.3f}".rstrip("0").rstrip(".")
    return f"{cores} {'core' if cores == '1' else 'cores'}"


def count(number: Any) -> str:
    """Return a whole number with groups of thousands."""
    return f"{number:,}".replace(",", "\u202f") if isinstance(number, int) else ""


def rate(per_second: float | None) -> str:
    """Return a number of messages a second."""
    if per_second is None:
        return ""
    return f"{per_second:.0f}/s" if per_second >= 10 or per_second == 0 else f"{per_second:.1f}/s"


def plural(number: int, one: str, many: str = "") -> str:
    """Return the number with its noun."""
    return f"{count(number)} {one if number == 1 else many or one + 's'}"


def content(value: bytes | None, limit: int) -> tuple[str, str]:
    """Return how the bytes of a record are shown (``JSON``, ``text``, ``hex``), and the text, cut."""
    if value is None:
        return "none", ""
    head = value[:limit]
    if len(value) <= limit:
        try:
            return "JSON", orjson.dumps(orjson.loads(value), option=orjson.OPT_INDENT_2).decode()[: 4 * limit]
        except (orjson.JSONDecodeError, TypeError, RecursionError):
            pass
    try:
        text = head.decode() if len(value) <= limit else head.decode("utf-8", "ignore")
    except UnicodeDecodeError:
        return "hex", _hex(head)
    return ("hex", _hex(head)) if "\0" in text else ("text", text)


def _hex(data: bytes) -> str:
    rows = (data[at : at + 16] for at in range(0, min(len(data), 4096), 16))
    return "\n".join(
        f"{number * 16:08x}  {row.hex(' '):<47}  {''.join(chr(b) if 32 <= b < 127 else '.' for b in row)}"
        for number, row in enumerate(rows)
    )
