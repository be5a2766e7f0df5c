"""Who asks: the organisation of the ``x-rh-identity`` header, with upstream's texts for a bad one."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import wraps
from typing import Any, Final, TypeAlias

from aiohttp import web
from multidict import CIMultiDictProxy

from headrace.contracts.identity import LOCAL_ORG_ID, Contradiction, IdentityError, decode_identity
from headrace.web.caller import sent_identity
from headrace.web.errors import Refusal
from headrace_services.results_aggregator.parameters import MAX_ORG_ID, OF_ORGANISATION, ORG_ID, Asked
from headrace_services.results_aggregator.refusals import forbidden

MISSING: Final = "Missing auth token"
MALFORMED: Final = "Malformed authentication token"

# A handler that is given the caller and what the path names.
Answering: TypeAlias = Callable[[web.Request, Asked], Awaitable[dict[str, Any]]]


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


def of_own_organisation(answering: Answering) -> Answering:
    """Make a handler's organisation the caller's, which no path names; raises 403 where the query names another."""

    @wraps(answering)
    async def answer(request: web.Request, asked: Asked) -> dict[str, Any]:
        named = OF_ORGANISATION.read(request.query)
        if asked.caller is None:
            return await answering(request, replace(asked, org_id=named or int(LOCAL_ORG_ID)))
        if named not in {0, asked.caller}:
            raise forbidden(named, asked.caller)
        return await answering(request, replace(asked, org_id=asked.caller))

    return answer
