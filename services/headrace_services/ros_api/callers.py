"""Who asks: the organisation of the ``X-Rh-Identity`` header, with upstream's texts for a bad one."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from multidict import CIMultiDictProxy

from headrace.contracts.identity import (
    BadOrganisation,
    Identity,
    IdentityError,
    MissingIdentity,
    NotBase64,
    NotJson,
    decode_identity,
    encode_identity,
)
from headrace.web.caller import has_identity, sent_identity
from headrace.web.errors import Refusal

HEADER: Final = "X-Rh-Identity"
_UNREADABLE: Final = "Unable to marshal X-Rh-Identity into struct"
_TEXTS: Final[dict[type[IdentityError], str]] = {
    NotBase64: "Unable to decode X-Rh-Identity",
    MissingIdentity: _UNREADABLE,
    NotJson: _UNREADABLE,
    BadOrganisation: f"{HEADER} has no org_id",
}


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
    if default_org_id and not has_identity(headers):
        identity = Identity(org_id=default_org_id)
        return Caller(default_org_id, encode_identity(identity))
    try:
        header = sent_identity(headers)
        identity = decode_identity(header, type_required=False)
        if not identity.org_id:
            raise BadOrganisation
    except IdentityError as error:
        raise Refusal(401, _TEXTS.get(type(error), str(error))) from None
    return Caller(identity.org_id, header)
