"""Who asks: the organisation of the ``x-rh-identity`` header, with upstream's texts for a bad one."""

from typing import Final

from multidict import CIMultiDictProxy

from headrace.contracts.identity import Contradiction, IdentityError, decode_identity
from headrace.web.caller import sent_identity
from headrace.web.errors import Refusal
from headrace_services.results_aggregator.parameters import MAX_ORG_ID, ORG_ID

MISSING: Final = "Missing auth token"
MALFORMED: Final = "Malformed authentication token"


def identify(headers: CIMultiDictProxy[str], *, lenient: bool) -> int | None:
    """The caller's organisation; None for an absent header where that is accepted. Raises 401."""
    try:
        header = sent_identity(headers)
        if not header and lenient:
            return None
        if not header:
            raise Refusal(401, MISSING)
        # Upstream decodes base64's URL alphabet, with or without its padding.
        org_id = decode_identity(header, type_required=False, url_alphabet=True).org_id
    except Contradiction as error:
        raise Refusal(401, str(error)) from None
    except IdentityError:
        raise Refusal(401, MALFORMED) from None
    if not ORG_ID.fullmatch(org_id) or int(org_id) > MAX_ORG_ID:
        raise Refusal(401, MALFORMED)
    return int(org_id)
