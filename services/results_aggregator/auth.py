"""Who asks: the organisation of the ``x-rh-identity`` header, with upstream's texts for a bad one."""

from typing import Final

from aiohttp import web
from multidict import CIMultiDictProxy

from headrace.contracts.identity import IdentityError, decode_identity
from services.results_aggregator.parameters import MAX_ORG_ID

HEADER: Final = "x-rh-identity"
MISSING: Final = "Missing auth token"
MALFORMED: Final = "Malformed authentication token"
FOREIGN: Final = "you have no permissions to get or change info about this organization"

# Upstream decodes base64's URL alphabet, with or without its padding.
_TO_STANDARD: Final = str.maketrans("-_", "+/")


def identify(headers: CIMultiDictProxy[str], *, lenient: bool) -> int | None:
    """The caller's organisation; None for an absent header where that is accepted. Raises 401."""
    sent = set(headers.getall(HEADER, [])) - {""}
    if not sent:
        if lenient:
            return None
        raise web.HTTPUnauthorized(text=MISSING)
    if len(sent) > 1:
        raise web.HTTPUnauthorized(text=f"more than one {HEADER}, and they differ")
    text = sent.pop().translate(_TO_STANDARD).rstrip("=")
    try:
        org_id = decode_identity(text + "=" * (-len(text) % 4), type_required=False).org_id
    except IdentityError:
        raise web.HTTPUnauthorized(text=MALFORMED) from None
    if not (org_id.isascii() and org_id.isdigit() and len(org_id) <= 20 and 0 < int(org_id) <= MAX_ORG_ID):
        raise web.HTTPUnauthorized(text=MALFORMED)
    return int(org_id)


def forbidden() -> web.HTTPForbidden:
    """Another organisation's."""
    return web.HTTPForbidden(text=FOREIGN)
