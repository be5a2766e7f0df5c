"""Certificate signing requests that nobody approves."""

from datetime import timedelta
from typing import Final

from insights.core.plugins import Response, make_fail, make_pass, rule

from headrace.rules.details import offenders
from headrace.rules.parsers.access import CertificateSigningRequest
from headrace.rules.parsers.gathered import GatheredAt
from headrace.rules.reading import shown

ERROR_KEY: Final = "SIGNING_REQUESTS_PENDING"
GOOD_KEY: Final = "SIGNING_REQUESTS_DECIDED"
YOUNG_KEY: Final = "SIGNING_REQUESTS_PENDING_BRIEFLY"
# The machine approver decides within seconds; one that young is no sign of trouble.
PATIENCE: Final = timedelta(minutes=10)


@rule(CertificateSigningRequest, GatheredAt, tags=["certificates", "nodes"])
def report(requests: list[CertificateSigningRequest], gathered: GatheredAt) -> Response | None:
    """Hit when a request has been pending for ten minutes; the oldest first.

    A pending one of unknown age is not judged.
    """
    pending = [one for one in requests if one.pending]
    found = [
        {"name": one.name, "requester": one.requester, "created": shown(one.created)}
        for one in pending
        if one.created is not None and gathered.moment - one.created >= PATIENCE
    ]
    if not pending:
        return make_pass(GOOD_KEY, requests=len(requests))
    if not found:
        if any(one.created is None for one in pending):
            return None
        return make_pass(YOUNG_KEY, requests=len(requests), pending=len(pending))
    found.sort(key=lambda one: (one["created"] or "", one["name"]))
    return make_fail(ERROR_KEY, **offenders("requests", found))
