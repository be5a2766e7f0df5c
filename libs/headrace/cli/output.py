"""Output for people: rich on a terminal, plain aligned text elsewhere.

rich is imported only on a terminal: a service's process has none and starts without it.
"""

import contextlib
import errno
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from itertools import zip_longest
from textwrap import wrap
from typing import IO, TYPE_CHECKING, Final, NoReturn

if TYPE_CHECKING:
    from rich.console import Console

# A row with one of these states or statuses.
_RED: Final = frozenset({"error", "failed"})
_GAP: Final = 2
# Between two lines of progress where nobody watches a spinner.
_PROGRESS_SECONDS: Final = 10.0

Row = Sequence[object]
Advance = Callable[[int], None]
Tell = Callable[[str], None]


class Output:
    """One output stream."""

    def __init__(self, stream: IO[str] | None = None) -> None:
        self._stream = stream or sys.stdout
        self.is_terminal = self._stream.isatty()
        self._told = 0.0

    @cached_property
    def _console(self) -> "Console":
        from rich.console import Console

        return Console(file=self._stream, highlight=False, emoji=False, markup=False)

    def line(self, text: str = "", *, style: str = "") -> None:
        """Print a line without wrapping: keys and URLs are there to be copied. On a full disk the line is lost."""
        text = _plain_lines(text)
        try:
            if self.is_terminal:
                self._console.print(text, style=style or None, soft_wrap=True)
            else:
                print(text, file=self._stream, flush=True)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise

    def table(self, headers: Sequence[str], rows: Sequence[Row], *, title: str = "") -> None:
        """Print rows below their headers; where a terminal is too narrow for that, each row as a list.

        Words are never broken: ids and keys are there to be copied. What is no terminal gets plain lines.
        """
        cells = [["" if cell is None else plain(str(cell)) for cell in row] for row in rows]
        columns = list(zip(headers, *cells, strict=True))
        widths = [max(map(len, column)) for column in columns]
        if title:
            self.line(title)
        if self.is_terminal:
            fitting = _fitted(columns, widths, self._console.width)
            if fitting is None:
                self._list(headers, cells)
                return
            widths = fitting
        for line in _wrapped(headers, widths):
            self.line(line, style="bold")
        for row in cells:
            for line in _wrapped(row, widths):
                self.line(line, style=_style(row))

    @contextlib.contextmanager
    def waiting(self, text: str) -> Iterator[Tell]:
        """Show a spinner on a terminal while the block lasts; the yielded function changes its text.

        Elsewhere the texts are lines, one every ten seconds.
        """
        if not self.is_terminal:
            self._told = time.monotonic()
            yield self._now_and_then
            return
        with self._console.status(plain(text)) as spinner:
            yield lambda text: spinner.update(plain(text))

    @contextlib.contextmanager
    def transfer(self, what: str, size_bytes: int) -> Iterator[Advance]:
        """Show a progress bar on a terminal; call the yielded function with each number of transferred bytes."""
        if not self.is_terminal:
            yield lambda _: None
            return
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
        with Progress(*columns, console=self._console, transient=True) as progress:
            task = progress.add_task(what, total=size_bytes)
            yield lambda count: progress.advance(task, count)

    def _now_and_then(self, text: str) -> None:
        now = time.monotonic()
        if now - self._told >= _PROGRESS_SECONDS:
            self._told = now
            self.line(text)

    def _list(self, headers: Sequence[str], rows: list[list[str]]) -> None:
        """Print each row as lines of header and cell, without the empty ones."""
        width = max(map(len, headers))
        for row in rows:
            told = [(header, cell) for header, cell in zip(headers, row, strict=True) if cell]
            for number, (header, cell) in enumerate(told):
                mark = "  " if number else "- "
                self.line(f"{mark}{header.ljust(width)}  {cell}", style=_style(row))


def _fitted(columns: Sequence[Sequence[str]], widths: Sequence[int], room: int) -> list[int] | None:
    """Return widths that fit, with cells wrapped between words; None where the longest words alone do not fit."""
    found = [max((len(word) for cell in column for word in cell.split()), default=0) for column in columns]
    spare = room - sum(found) - _GAP * (len(found) - 1)
    if spare < 0:
        return None
    # Those that need least get it; the others share what is left.
    by_need = sorted(range(len(found)), key=lambda column: widths[column] - found[column])
    for place, column in enumerate(by_need):
        more = min(widths[column] - found[column], spare // (len(found) - place))
        found[column] += more
        spare -= more
    return found


def _wrapped(row: Sequence[str], widths: Sequence[int]) -> Iterator[str]:
    """Yield the lines of a row; a cell that is wider than its column is wrapped between words."""
    cells = [
        [cell] if len(cell) <= width else wrap(cell, width, break_long_words=False, break_on_hyphens=False)
        for cell, width in zip(row, widths, strict=True)
    ]
    for pieces in zip_longest(*cells, fillvalue=""):
        padded = (piece.ljust(width) for piece, width in zip(pieces, widths, strict=True))
        yield (" " * _GAP).join(padded).rstrip()


def _style(row: Sequence[str]) -> str:
    return "red" if _RED.intersection(row) else ""


def plain(text: str) -> str:
    """Return text without control sequences, because the text may be untrusted."""
    return text if text.isprintable() else "".join(each if each.isprintable() else "\ufffd" for each in text)


def _plain_lines(text: str) -> str:
    return "\n".join(map(plain, text.split("\n")))


def fail(reason: str) -> NoReturn:
    """Print the reason on stderr and exit with 1."""
    print(f"headrace: {_plain_lines(reason)}", file=sys.stderr, flush=True)
    raise SystemExit(1)
