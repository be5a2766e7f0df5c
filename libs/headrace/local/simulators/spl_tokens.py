"""The words of Splunk's search language, one after another."""

import re
from dataclasses import dataclass
from typing import Final

_TOKEN: Final = re.compile(
    r"""\s*(?:(?P<text>"(?:\\.|[^"\\])*")|(?P<name>'[^']*')|(?P<op>!=|==|>=|<=|[()=,<>.])"""
    r"""|(?P<word>[^\s()=,!<>"'|]*[^\s()=,!<>"'|.])|(?P<pipe>\|)|(?P<end>$))"""
)


class SplError(Exception):
    """The text is no search we can run; the message is what Splunk would answer with."""


@dataclass(frozen=True)
class Token:
    """``kind``: text (a literal), name (a quoted field), op, word."""

    kind: str
    text: str


def tokens(text: str) -> list[Token]:
    """The words; raises `SplError`."""
    found, at = [], 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None or match.lastgroup is None:
            raise SplError(f"Error in 'search' command: Unable to parse the search: {text[at : at + 20]!r}")
        at = match.end()
        if match.lastgroup != "end":
            found.append(Token(match.lastgroup, match[match.lastgroup]))
    return found


def pipeline(tokens: list[Token]) -> list[list[Token]]:
    """The words of each command; raises `SplError` where one is missing."""
    commands: list[list[Token]] = [[]]
    for token in tokens:
        if token.kind == "pipe":
            commands.append([])
        else:
            commands[-1].append(token)
    if not all(commands):
        raise SplError("Error in 'SearchParser': Missing a search command before '|'.")
    return commands


class Reader:
    """Tokens one after another."""

    def __init__(self, tokens: list[Token]) -> None:
        self._tokens = tokens
        self._at = 0

    def peek(self) -> Token | None:
        """What comes, None at the end."""
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def peek_word(self) -> str:
        """What comes, if it is a word or an operator."""
        token = self.peek()
        return token.text if token and token.kind in {"word", "op"} else ""

    def take(self) -> Token:
        """What comes; raises `SplError` at the end."""
        token = self.peek()
        if token is None:
            raise SplError("Error in 'SearchParser': The search ends too soon.")
        self._at += 1
        return token

    def accept(self, *texts: str) -> bool:
        """Take the token if it is one of these operators or words."""
        if self.peek_word() in texts:
            self._at += 1
            return True
        return False

    def expect(self, text: str) -> None:
        """Take this operator or word; raises `SplError` when another comes."""
        if not self.accept(text):
            raise SplError(f"Error in 'SearchParser': expected '{text}'.")

    def end(self) -> None:
        """Raises `SplError` when something is left."""
        token = self.peek()
        if token is not None:
            raise SplError(f"Error in 'SearchParser': '{token.text}' is not expected here.")


def unquoted(token: Token) -> str:
    """Its text, escapes resolved."""
    if token.kind == "text":
        return re.sub(r"\\(.)", r"\1", token.text[1:-1])
    return token.text[1:-1] if token.kind == "name" else token.text
