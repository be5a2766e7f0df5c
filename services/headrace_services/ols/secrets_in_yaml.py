"""Removes secrets from a YAML text and leaves the rest verbatim, including comments."""

import re
from collections.abc import Iterable, Iterator
from typing import Final

import yaml

# The word is plain text everywhere in YAML, unlike asterisks.
_HIDDEN: Final = "REDACTED"
_WORD: Final = re.compile(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])")
# Words that mark a key as secret anywhere in its name, also within a word.
_PARTS: Final = (
    "token",
    "secret",
    "password",
    "passwd",
    "passphrase",
    "apikey",
    "credential",
    "dockerconfig",
)
_WORDS: Final = frozenset({"authorization", "auth", "cookie", "pass", "pwd", "bearer", "jwt", "dsn"})
# Words that, before "key", make it the name of a secret.
_KEYS: Final = frozenset({"api", "private", "access", "secret", "signing", "encryption", "shared", "account"})
# A key with such an ending names the place or the handling of a secret, not the secret.
_ELSEWHERE: Final = frozenset(
    {"path", "file", "dir", "directory", "timeout", "seconds", "ttl", "interval", "verification", "module"}
)
_NUMBER: Final = re.compile(r"tag:yaml.org,2002:(?:int|float)")
_PLAIN: Final = re.compile(r"tag:yaml.org,2002:(?:bool|null)")
# Anchors stay, because aliases refer to them, and so do tags.
_PREFIX: Final = re.compile(r"(?:[&!]\S*\s+)*")
_COMMENT: Final = re.compile(r"(?:^|(?<=\s))#.*$", re.MULTILINE)
_ASSIGNED: Final = re.compile(r"([\w.-]+)[\"']?\s*[:=]\s*(?=\S)")
# Secrets within a value: --token=…, ?access_token=…, "password=… user=…".
_PAIR: Final = re.compile(r"([\w.-]+)=([^\s&\"',;}]+)")
# Texts that are secrets wherever they occur.
_SHAPES: Final = re.compile(
    r"(?P<scheme>\b(?:Bearer|Basic)\s+)[A-Za-z0-9._~+/=-]{6,}"
    r"|(?P<url>[a-z][a-z0-9+.-]*://)[^/\s@\"']+(?=@)"
    r"|\beyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*){1,4}"
    r"|\b(?:sk-|gh[opsu]_|glpat-|xox[abpr]-|sha256~)[A-Za-z0-9_-]{16,}"
    r"|\bAKIA[A-Z0-9]{16}\b"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)",
    re.DOTALL,
)
# A shorter text is not a secret and may be a common word.
_MIN_KNOWN: Final = 8


def redact_yaml(text: str, known: Iterable[str] = ()) -> str:
    """Return the text with ``REDACTED`` for each secret and for ``known`` ones anywhere. Raises `yaml.YAMLError`."""
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    spans = sorted({(node.start_mark.index, node.end_mark.index) for node in _secrets(root)}) if root else []
    pieces, at = [], 0
    for start, end in spans:
        value = text[start:end]
        prefix = _PREFIX.match(value)
        begin = start + (prefix.end() if prefix else 0)
        # A block scalar extends to the next token, so its trailing blanks are not part of it.
        finish = start + len(value.rstrip())
        if begin >= at and finish > begin:
            pieces += [text[at:begin], _HIDDEN]
            at = finish
    redacted = "".join([*pieces, text[at:]])
    for pattern, replace in ((_COMMENT, _comment), (_PAIR, _pair), (_SHAPES, _shape)):
        redacted = pattern.sub(replace, redacted)
    for secret in sorted(known, key=len, reverse=True):
        if len(secret) >= _MIN_KNOWN:
            redacted = redacted.replace(secret, _HIDDEN)
    return redacted


def is_secret(key: str, *, number: bool = False) -> bool:
    """Return whether a value under this key is a secret; a number is one only if the key's last word marks it."""
    words = [word.lower() for word in _WORD.findall(key)]
    if not words or words[-1] in _ELSEWHERE:
        return False
    if number:
        return _is_word(words[-1]) or _is_key(words[-2:])
    return (
        any(_is_word(word) for word in words)
        or any(_is_key(words[at : at + 2]) for at in range(len(words)))
        or any(part in "".join(words) for part in _PARTS)
    )


def _is_word(word: str) -> bool:
    return word in _WORDS or word in _PARTS


def _is_key(words: list[str]) -> bool:
    return len(words) == 2 and words[1] in {"key", "keys"} and words[0] in _KEYS


def _secrets(root: yaml.Node) -> Iterator[yaml.ScalarNode]:
    """Yield every scalar that contains a secret; for an alias, the scalar at its anchor."""
    seen: set[tuple[int, str]] = set()
    waiting: list[tuple[yaml.Node, str]] = [(root, "")]
    while waiting:
        node, key = waiting.pop()
        if (id(node), key) in seen:
            continue
        seen.add((id(node), key))
        if isinstance(node, yaml.ScalarNode):
            number = bool(_NUMBER.fullmatch(node.tag))
            if key and not _PLAIN.fullmatch(node.tag) and is_secret(key, number=number):
                yield node
        elif isinstance(node, yaml.SequenceNode):
            waiting += [(item, key) for item in node.value]
        elif isinstance(node, yaml.MappingNode):
            waiting += _below(node, key)


def _below(node: yaml.MappingNode, key: str) -> Iterator[tuple[yaml.Node, str]]:
    named = {
        name.value: value.value
        for name, value in node.value
        if isinstance(name, yaml.ScalarNode) and isinstance(value, yaml.ScalarNode)
    }
    # Environment variables are lists of {name: API_KEY, value: …}.
    entry = str(named.get("name", ""))
    for name, value in node.value:
        own = name.value if isinstance(name, yaml.ScalarNode) else ""
        if own == "value" and is_secret(entry):
            own = entry
        elif is_secret(key) and not _says_where(own):
            own = key
        yield value, own


def _says_where(key: str) -> bool:
    words = _WORD.findall(key)
    return bool(words) and words[-1].lower() in _ELSEWHERE


def _comment(match: re.Match[str]) -> str:
    """Return the comment up to the first name of a secret with a value."""
    text = match[0]
    for found in _ASSIGNED.finditer(text):
        if is_secret(found[1]):
            return text[: found.end()] + _HIDDEN
    return text


def _pair(match: re.Match[str]) -> str:
    return f"{match[1]}={_HIDDEN}" if is_secret(match[1]) else match[0]


def _shape(match: re.Match[str]) -> str:
    return f"{match['scheme'] or match['url'] or ''}{_HIDDEN}"
