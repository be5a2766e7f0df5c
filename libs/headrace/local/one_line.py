"""Joins each JSON object that spans several lines into one line; all other lines pass unchanged.

Imports only the standard library, because it runs isolated and must start fast.
"""

import io
import json
import re
import sys
from collections.abc import Iterable, Iterator

# Longer than any message: what has not become JSON by then never will.
_MAX_CHARACTERS = 4 << 20
_OBJECT = re.compile(r'\s*\{\s*("|\}|$)')


def one_line(lines: Iterable[str]) -> Iterator[str]:
    """Yield lines without their line ends."""
    begun: list[str] = []
    characters = 0
    for line in lines:
        text = line.rstrip("\r\n")
        if not begun and not _OBJECT.match(text):
            yield text
            continue
        begun.append(text)
        characters += len(text)
        if text.rstrip().endswith("}") and (whole := _joined(begun)):
            yield whole
        elif characters > _MAX_CHARACTERS:
            yield from begun
        else:
            continue
        begun, characters = [], 0
    yield from begun


def _joined(lines: list[str]) -> str | None:
    """Return the object on one line, None while it is not JSON; no string in it can have contained a line end."""
    whole = lines[0] if len(lines) == 1 else " ".join(line.strip() for line in lines)
    try:
        json.loads(whole)
    except ValueError:
        return None
    return whole


def main() -> None:
    """Copy stdin to stdout, each line as soon as it is complete."""
    for stream in (sys.stdin, sys.stdout):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="surrogateescape")
    try:
        for found in one_line(sys.stdin):
            sys.stdout.write(f"{found}\n")
            sys.stdout.flush()
    except (BrokenPipeError, KeyboardInterrupt):
        # Who reads has gone, or was told to.
        sys.stderr.close()
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
