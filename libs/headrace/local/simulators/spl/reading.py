"""The text of a search, taken apart: commands between pipes, and what stands in one command."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

# A pipe between quotes or in a subsearch ends no command.
_BORDER: Final = re.compile(r'"(?:\\.|[^"\\])*"|\'[^\'|]*\'|[\[\]|]', re.DOTALL)
# What most commands are made of: a field's name may hold nearly everything.
_WORDS: Final = re.compile(
    r"""(?P<text>"(?:\\.|[^"\\])*")|(?P<name>'[^']*')|(?P<op>!=|==|>=|<=|[()=,<>\[\]])"""
    r"""|(?P<word>(?:[^\s()=,!<>"'|\[\]]|!(?!=))(?:[^\s()=,!<>"|\[\]]|!(?!=))*)""",
    re.DOTALL,
)
# What expressions are made of, where a dot joins and a dash subtracts.
_SYMBOLS: Final = re.compile(
    r"""(?P<text>"(?:\\.|[^"\\])*")|(?P<name>'[^']*')|(?P<number>\d+(?:\.\d+)?(?![\w{]))"""
    r"""|(?P<op>!=|==|>=|<=|[()=,<>.+\-*/%])|(?P<word>[^\s()=,!<>"'|.+\-*/%]+)""",
    re.DOTALL,
)
_BLANKS: Final = re.compile(r"\s*")


class SplError(Exception):
    """The text is no search we can run; the message is what Splunk would answer with."""


@dataclass(frozen=True)
class Token:
    """``kind``: text (a literal), name (a quoted field), number, op, word."""

    kind: str
    text: str


def pipeline(text: str) -> list[str]:
    """The text of each command; raises `SplError` where one is missing.

    A pipe at the very beginning is left out: what follows makes its own events.
    """
    commands, start, depth = [], 0, 0
    for border in _BORDER.finditer(text):
        depth += {"[": 1, "]": -1}.get(border[0], 0)
        if border[0] == "|" and depth <= 0:
            commands.append(text[start : border.start()])
            start = border.end()
    commands.append(text[start:])
    if len(commands) > 1 and not commands[0].strip():
        del commands[0]
    if not all(command.strip() for command in commands):
        raise SplError("Error in 'SearchParser': Missing a search command before '|'.")
    return commands


class Reader:
    """The words of one command, one after another."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self._pattern = _WORDS
        self._skip()

    @contextmanager
    def expression(self) -> Iterator[None]:
        """Inside, words are those of an expression."""
        before, self._pattern = self._pattern, _SYMBOLS
        try:
            yield
        finally:
            self._pattern = before

    def peek(self) -> Token | None:
        """What comes, None at the end; raises `SplError` where it is nothing we know."""
        if self.at >= len(self.text):
            return None
        match = self._pattern.match(self.text, self.at)
        if match is None or match.lastgroup is None:
            shown = self.text[self.at :]
            raise SplError(f"Error in 'SearchParser': Mismatched quotes and/or parenthesis: {shown[:20]}")
        return Token(match.lastgroup, match[match.lastgroup])

    def peek_word(self) -> str:
        """What comes, if it is a word or an operator."""
        token = self.peek()
        return token.text if token and token.kind in {"word", "op"} else ""

    def take(self) -> Token:
        """What comes; raises `SplError` at the end."""
        token = self.peek()
        if token is None:
            raise SplError("Error in 'SearchParser': The search ends too soon.")
        self.at += len(token.text)
        self._skip()
        return token

    def match(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        """Take what a pattern says, if it comes."""
        found = pattern.match(self.text, self.at)
        if found is not None:
            self.at = found.end()
            self._skip()
        return found

    def accept(self, *texts: str) -> bool:
        """Take the token if it is one of these operators or words."""
        if self.peek_word() in texts:
            self.take()
            return True
        return False

    def expect(self, text: str) -> None:
        """Take this operator or word; raises `SplError` when another comes."""
        if not self.accept(text):
            raise SplError(f"Error in 'SearchParser': The expression is malformed. Expected {text}.")

    def end(self) -> None:
        """Raises `SplError` when something is left."""
        token = self.peek()
        if token is not None:
            raise SplError(f"Error in 'SearchParser': The argument '{unquoted(token)}' is invalid.")

    def names(self) -> list[str]:
        """Fields up to the end or to ``BY`` and its like, commas between or not."""
        found: list[str] = []
        while self.peek() is not None and self.peek_word() not in _AFTER_NAMES:
            if not self.accept(","):
                found.append(unquoted(self.take()))
        return found

    def options(self, *known: str) -> dict[str, str]:
        """``name=value`` words, as far as they are known ones."""
        pattern = re.compile(rf"({'|'.join(known)})\s*=\s*", re.IGNORECASE)
        found: dict[str, str] = {}
        while (match := self.match(pattern)) is not None:
            found[match[1].lower()] = unquoted(self.take())
            self.accept(",")
        return found

    def _skip(self) -> None:
        match = _BLANKS.match(self.text, self.at)
        self.at = match.end() if match else self.at


_AFTER_NAMES: Final = frozenset({"BY", "by", "AS", "as", "OUTPUT", "OUTPUTNEW", "sortby"})


def unquoted(token: Token) -> str:
    """Its text. In a literal a backslash takes the meaning of a quote and of a backslash, nothing else."""
    if token.kind == "text":
        return re.sub(r'\\(["\\])', r"\1", token.text[1:-1])
    return token.text[1:-1] if token.kind == "name" else token.text


def wildcard(*patterns: str, anything: str = ".*", flags: int = re.IGNORECASE) -> re.Pattern[str]:
    """A pattern that whole texts fit, ``*`` being any text; whatever the case, unless flags say otherwise."""
    choices = "|".join(anything.join(map(re.escape, pattern.split("*"))) for pattern in patterns)
    return re.compile(choices, flags | re.DOTALL)
