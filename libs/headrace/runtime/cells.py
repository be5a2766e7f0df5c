"""Texts of strangers in tables that people open with a spreadsheet."""

from typing import Final

# A formula's first characters; some programs take their full-width forms for the same.
_FORMULA: Final = tuple("=+-@\uff1d\uff0b\uff0d\uff20")
# What programs drop before they look for one.
_PASSED_OVER: Final = "'\"`"


def cell(text: str) -> str:
    """The text, behind an apostrophe if a spreadsheet might take it for a formula. Numbers are not for this."""
    begins_oddly = text.startswith(("\t", "\r", "\n"))
    bare = text.lstrip().lstrip(_PASSED_OVER).lstrip()
    return f"'{text}" if begins_oddly or bare.startswith(_FORMULA) else text
