"""Output for people: rich on a terminal, plain aligned text elsewhere.

rich is imported only on a terminal: a service's process has none and starts without it.
"""

import contextlib
import errno
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import IO, TYPE_CHECKING, Final, NoReturn

if TYPE_CHECKING:
    from rich.console import Console

STYLES: Final = {"success": "green", "ready": "green", "well": "green", "error": "red", "failed": "red"}

Row = Sequence[object]
Advance = Callable[[int], None]


class Output:
    """One output stream."""

    def __init__(self, stream: IO[str] | None = None) -> None:
        self._stream = stream or sys.stdout
        self.is_terminal = self._stream.isatty()

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
        """Print rows below their headers."""
        cells = [["" if cell is None else plain(str(cell)) for cell in row] for row in rows]
        if self.is_terminal:
            self._rich_table(headers, cells, title)
            return
        if title:
            self.line(title)
        widths = [max(map(len, column)) for column in zip(headers, *cells, strict=True)]
        for row in (headers, *cells):
            padded = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            self.line("  ".join(padded).rstrip())

    @contextlib.contextmanager
    def waiting(self, text: str) -> Iterator[None]:
        """Show a spinner on a terminal while the block lasts."""
        if not self.is_terminal:
            yield
            return
        with self._console.status(text):
            yield

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

    def _rich_table(self, headers: Sequence[str], rows: list[list[str]], title: str) -> None:
        from rich.table import Table

        table = Table(
            title=title or None, title_justify="left", box=None, header_style="bold", pad_edge=False
        )
        for header in headers:
            table.add_column(header, overflow="fold")
        for row in rows:
            style = next((STYLES[cell] for cell in row if cell in STYLES), None)
            table.add_row(*row, style=style if style == "red" else None)
        self._console.print(table)


def plain(text: str) -> str:
    """Return text without control sequences, because the text may be untrusted."""
    return text if text.isprintable() else "".join(each if each.isprintable() else "\ufffd" for each in text)


def _plain_lines(text: str) -> str:
    return "\n".join(map(plain, text.split("\n")))


def fail(reason: str) -> NoReturn:
    """Print the reason on stderr and exit with 1."""
    print(f"headrace: {_plain_lines(reason)}", file=sys.stderr, flush=True)
    raise SystemExit(1)
