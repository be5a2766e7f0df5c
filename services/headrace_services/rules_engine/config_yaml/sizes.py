"""Sizes in the notation of the pipeline's downloader: a number and a unit, such as ``100 MB`` or ``1.5Gi``."""

import re
from typing import Final

_SIZE: Final = re.compile(r"(\d+(?:\.\d+)?) *([KMGT]i?)?B?")
_POWERS: Final = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4}
EXPECTED: Final = "a size such as 100MB (powers of 1000) or 100MiB (powers of 1024)"


def parse_bytes(text: str) -> int | None:
    """Return the bytes of a size; None if the text is not one."""
    found = _SIZE.fullmatch(text.strip())
    if not found:
        return None
    unit = found[2] or ""
    return int(float(found[1]) * (1024 if unit.endswith("i") else 1000) ** _POWERS[unit[:1]])
