"""Pull secrets: the token for the upload and the identity in the data. No I/O."""

import base64
import binascii
import json
from dataclasses import dataclass
from typing import Any, Final

import orjson

from headrace.contracts.assisted import TELEMETRY_REGISTRY
from headrace.runtime.errors import Permanent

_NOT_JSON: Final = "pull secret must be a well-formed JSON"
_NO_AUTHS: Final = "pull secret must contain 'auths' JSON-object field"


class BadCredentials(Permanent):
    """A pull secret is invalid; the text never quotes it."""


class OptedOut(BadCredentials):
    """A pull secret has no entry for telemetry, or one without a token: its owner opted out."""


@dataclass(frozen=True)
class Entry:
    """One registry's entry; ``auth`` is the raw base64 text, the token of a request."""

    auth: str = ""
    username: str = ""
    email: str = ""

    @property
    def known(self) -> int:
        """How much the entry says about its user."""
        return bool(self.username) + bool(self.email)

    @property
    def email_domain(self) -> str:
        """The text after the first ``@``."""
        return self.email.partition("@")[2]


@dataclass(frozen=True)
class Credentials:
    """The token for the request, and the user and domain in the data."""

    token: str
    identity: Entry

    def __repr__(self) -> str:
        return "Credentials(…)"


def parse(secret: str) -> dict[str, Entry]:
    """Return every entry of a pull secret; raises `BadCredentials`, even for a single bad entry."""
    auths = _object(secret).get("auths")
    if not isinstance(auths, dict) or not auths:
        raise BadCredentials(_NO_AUTHS)
    return {registry: _entry(registry, entry) for registry, entry in auths.items()}


def _object(secret: str) -> dict[str, Any]:
    try:
        # The standard parser accepts lone surrogates, which could not be encoded again.
        orjson.loads(secret)
        content = json.loads(secret, object_pairs_hook=_members)
    except (ValueError, RecursionError):
        raise BadCredentials(_NOT_JSON) from None
    if not isinstance(content, dict):
        raise BadCredentials(_NOT_JSON)
    return content


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # Readers would differ in which of two equal keys they use, and one may opt out.
    if len(dict(pairs)) < len(pairs):
        raise BadCredentials("pull secret names a key twice")
    return dict(pairs)


def _entry(registry: str, entry: Any) -> Entry:
    if not isinstance(entry, dict):
        raise BadCredentials(_NOT_JSON)
    auth, email = entry.get("auth") or "", entry.get("email") or ""
    if not isinstance(auth, str) or not isinstance(email, str):
        raise BadCredentials(_NOT_JSON)
    if not auth.strip():
        return Entry(email=email)
    try:
        decoded = base64.b64decode(auth, validate=True).decode(errors="replace")
    except (binascii.Error, ValueError):
        raise BadCredentials(
            f"invalid pull secret: 'auth' field of \"{registry}\" is not base64-encoded"
        ) from None
    username, colon, password = decoded.partition(":")
    if not colon:
        raise BadCredentials(f"invalid pull secret: 'auth' for {registry} is not in 'user:password' format")
    return Entry(auth if password.strip() else "", username, email)


def telemetry(secret: str) -> Entry:
    """Return the entry for telemetry; raises `OptedOut` if there is none, `BadCredentials` if that is unknown.

    Only the exact name counts, as everywhere in a cluster.
    """
    content = _object(secret)
    auths = content.get("auths", {})
    if isinstance(auths, dict) and auths.get(TELEMETRY_REGISTRY) is None:
        raise OptedOut(f"no entry for {TELEMETRY_REGISTRY}")
    entry = parse(secret)[TELEMETRY_REGISTRY]
    if not entry.auth:
        raise OptedOut(f"the entry for {TELEMETRY_REGISTRY} has no token")
    return entry


def choose(management: str, workload: str, *, either: bool = False) -> Credentials:
    """Choose credentials from the management cluster's pull secret and the installed cluster's own; ``""`` is none.

    Each existing secret has to consent; with ``either`` one is sufficient, as in upstream's code. Raises `OptedOut` or
    `BadCredentials` with the reason.
    """
    found: dict[str, Entry] = {}
    problems: list[BadCredentials] = []
    for name, secret in (("management", management), ("workload", workload)):
        try:
            if secret:
                found[name] = telemetry(secret)
            else:
                problems.append(OptedOut(f"{name} pull secret: there is none"))
        except BadCredentials as error:
            problems.append(type(error)(f"{name} pull secret: {error}"))
            if not either:
                raise problems[-1] from None
    if not found:
        bad = any(not isinstance(problem, OptedOut) for problem in problems)
        kind = BadCredentials if bad else OptedOut
        raise kind("; ".join(str(problem) for problem in problems))
    of_management, of_workload = found.get("management", Entry()), found.get("workload", Entry())
    identity = of_management if of_management.known > of_workload.known else of_workload
    return Credentials(of_management.auth or of_workload.auth, identity)
