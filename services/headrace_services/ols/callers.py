"""The authentication of clients. Source: openshift/lightspeed-service (ols/src/auth)."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol

import orjson
from aiohttp import web

from headrace.runtime.errors import ConfigurationError
from headrace.web.caller import BadAuthorization, sent_authorization
from headrace.web.parameters import Custom, Parameter
from headrace.web.schemas import TEXT
from headrace_services.ols.refusals import Problem

_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
NOBODY: Final = "00000000-0000-0000-0000-000000000000"
_NOBODYS_NAME: Final = "OLS"

USER_ID: Final = Parameter(
    "user_id", Custom(TEXT, str), "", "user id of the client, used if authentication is off"
)


@dataclass(frozen=True)
class Caller:
    """A user; ``chosen`` if the request only claims the id."""

    user_id: str
    user_name: str
    chosen: bool = False


class Authentication(Protocol):
    """A way to authenticate clients."""

    async def caller(self, request: web.Request) -> Caller:
        """Return the client of a request; raises a `Problem` of 400, 401 or 403, or `Retryable`."""
        ...


class Noop:
    """No authentication: a client claims an id in the query."""

    async def caller(self, request: web.Request) -> Caller:
        """Return the client that the query's ``user_id`` names."""
        return Caller(USER_ID.read(request.query) or NOBODY, _NOBODYS_NAME, chosen=True)


class Tokens:
    """A table by the SHA-256 of tokens, so that it contains no secret."""

    def __init__(self, table: Mapping[str, str]) -> None:
        self._table = table

    async def caller(self, request: web.Request) -> Caller:
        """Return the client of the token."""
        digest = hashlib.sha256(bearer_token(request).encode()).hexdigest()
        user_id = self._table.get(digest)
        if user_id is None:
            raise unknown_token()
        return Caller(user_id, user_id)


def tokens_of(text: str) -> Mapping[str, str]:
    """Return the table of ``OLS_TOKENS``; raises `ConfigurationError` without showing its content."""
    try:
        table = orjson.loads(text or "{}")
    except orjson.JSONDecodeError:
        table = None
    if not isinstance(table, dict) or not all(
        _DIGEST.fullmatch(digest) and isinstance(user_id, str) and user_id
        for digest, user_id in table.items()
    ):
        raise ConfigurationError(
            'OLS_TOKENS: expected a JSON object {"<SHA-256 of a token, 64 hex digits>": "<user id>"}'
        )
    return table


def unknown_token() -> Problem:
    """Return the refusal of a token that belongs to no user."""
    return Problem(403, "Forbidden: Invalid or expired token")


def bearer_token(request: web.Request) -> str:
    """Return the bearer token; raises a `Problem` of 400 or 401."""
    try:
        scheme, token = sent_authorization(request.headers)
    except BadAuthorization as error:
        raise Problem(400, f"Bad Request: {error}") from None
    if not scheme:
        raise Problem(401, "Unauthorized: No auth header found")
    if scheme != "bearer" or not token:
        raise Problem(401, "Unauthorized: Bearer token not found or invalid")
    return token
