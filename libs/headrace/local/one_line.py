"""Puts each JSON object that stands on several lines on one; every other line passes as it is.

Imports the standard library only: it runs isolated and must be quick.
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
    """Lines without their ends."""
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
    """None while it is no JSON; no string of it can have had a line end inside."""
    whole = lines[0] if len(lines) == 1 else " ".join(line.strip() for line in lines)
    try:
        json.loads(whole)
    except ValueError:
        return None
    return whole


def main() -> None:
    """From stdin to stdout, each line as soon as it is known."""
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
