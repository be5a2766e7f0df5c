"""The headers that identify the client. Every service reads them here, so that all agree."""

from typing import Final

from multidict import MultiMapping

from headrace.contracts.headers import IDENTITY_HEADER
from headrace.contracts.identity import Contradiction, Identity, IdentityError, decode_identity
from headrace.web.errors import Refusal
from headrace.web.schemas import Json

# The security scheme in OpenAPI documents.
IDENTITY_SCHEME: Final[Json] = {"type": "apiKey", "in": "header", "name": IDENTITY_HEADER}
_AUTHORIZATION: Final = "Authorization"


class BadAuthorization(ValueError):
    """The ``Authorization`` header cannot be read; the text says why."""


def sent_identity(headers: MultiMapping[str]) -> str:
    """Return the text of the ``x-rh-identity`` header, ``""`` if none was sent.

    The gateway replaces a client's header with its own. A second header, even an equal or empty one, shows that it did
    not, and it is unknown which one the gateway set: raises `Contradiction`.
    """
    return _only(headers, IDENTITY_HEADER)


def has_identity(headers: MultiMapping[str]) -> bool:
    """Return whether the ``x-rh-identity`` header was sent, even if it is empty."""
    return IDENTITY_HEADER in headers


def identity_of(headers: MultiMapping[str]) -> Identity:
    """Return the sender's identity; raises a `Refusal` with 401 if it is missing or cannot be read."""
    try:
        return decode_identity(sent_identity(headers), type_required=False)
    except IdentityError as error:
        raise Refusal(401, str(error)) from None


def sent_authorization(headers: MultiMapping[str]) -> tuple[str, str]:
    """Return the scheme (lower case) and the credential, both ``""`` if none was sent; raises `BadAuthorization`."""
    try:
        text = _only(headers, _AUTHORIZATION)
    except Contradiction as error:
        raise BadAuthorization(str(error)) from None
    if not text.isascii():
        raise BadAuthorization("the Authorization header contains characters outside ASCII")
    scheme, _, credential = text.strip().partition(" ")
    return scheme.lower(), credential.strip()


def _only(headers: MultiMapping[str], name: str) -> str:
    found = headers.getall(name, [])
    if len(found) > 1:
        raise Contradiction(f"the request has more than one {name} header")
    return found[0] if found else ""
