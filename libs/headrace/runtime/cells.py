"""Escaping of untrusted text in tables that users open in a spreadsheet."""

import re
from typing import Final

# The first characters of a formula, and similar characters that some programs treat alike.
_FORMULA: Final = r"=+\-@\u2212\ufe62\ufe63\ufe66\ufe6b\uff0b\uff0d\uff1d\uff20"
# Characters that programs skip before a formula: quotes, blanks and characters without width.
_PASSED_OVER: Final = (
    r"\s\x00-\x1f\x7f-\x9f'\"`\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200f\u202a-\u202e"
    r"\u2060-\u206f\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb"
)
# The possible beginnings of a cell: in some locales programs separate cells by semicolons, and few support line breaks
# in a cell.
_FORMULAS: Final = re.compile(rf"(?:^|(?<=[;\t\r\n]))(?=[{_PASSED_OVER}]*[{_FORMULA}])|^(?=[\t\r\n])")
_HARMLESS: Final = re.compile(r"[A-Za-z0-9][^;\t\r\n]*")


def cell(text: str) -> str:
    """Return the text with an apostrophe wherever a spreadsheet could see a formula begin; not for numbers."""
    return text if _HARMLESS.fullmatch(text) else _FORMULAS.sub("'", text)
