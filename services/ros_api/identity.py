"""Who asks: the organisation of the ``X-Rh-Identity`` header, with upstream's texts for a bad one."""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from aiohttp import web
from multidict import CIMultiDictProxy

from headrace.contracts.identity import Identity, IdentityError, decode_identity, encode_identity

HEADER: Final = "X-Rh-Identity"
_UNDECODABLE: Final = "Unable to decode X-Rh-Identity"
_UNREADABLE: Final = "Unable to marshal X-Rh-Identity into struct"


@dataclass(frozen=True)
class Caller:
    """The tenant, and the header to pass on to RBAC."""

    org_id: str
    header: str

    @property
    def headers(self) -> Mapping[str, str]:
        """For a request made in the caller's name."""
        return {HEADER: self.header}


def identify(headers: CIMultiDictProxy[str], default_org_id: str) -> Caller:
    """The caller; ``default_org_id`` stands in for a header that is not there. Raises 401."""
    sent = set(headers.getall(HEADER, []))
    if not sent and default_org_id:
        identity = Identity(org_id=default_org_id)
        return Caller(default_org_id, encode_identity(identity))
    if len(sent) > 1:
        raise web.HTTPUnauthorized(text=f"more than one {HEADER}, and they differ")
    header = sent.pop() if sent else ""
    org_id = _org_id(header)
    if not org_id or "\0" in org_id:
        raise web.HTTPUnauthorized(text=f"{HEADER} has no org_id")
    return Caller(org_id, header)


def _org_id(header: str) -> str:
    try:
        text = base64.b64decode(header, validate=True)
    except (binascii.Error, ValueError):
        raise web.HTTPUnauthorized(text=_UNDECODABLE) from None
    if not text:
        raise web.HTTPUnauthorized(text=_UNREADABLE)
    try:
        return decode_identity(header, type_required=False).org_id
    except IdentityError as error:
        if "JSON" in str(error):
            raise web.HTTPUnauthorized(text=_UNREADABLE) from None
        return ""
