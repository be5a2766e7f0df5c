"""Certificate signing requests that nobody approves."""

from datetime import timedelta
from typing import Final

from insights.core.plugins import Response, make_fail, make_pass, rule

from services.rules_engine.pack.details import offenders
from services.rules_engine.pack.parsers.access import CertificateSigningRequest
from services.rules_engine.pack.parsers.gathered import GatheredAt
from services.rules_engine.pack.reading import shown

ERROR_KEY: Final = "SIGNING_REQUESTS_PENDING"
GOOD_KEY: Final = "SIGNING_REQUESTS_DECIDED"
# The machine approver decides within seconds; one that young is no sign of trouble.
PATIENCE: Final = timedelta(minutes=10)


@rule(CertificateSigningRequest, GatheredAt, tags=["certificates", "nodes"])
def report(requests: list[CertificateSigningRequest], gathered: GatheredAt) -> Response:
    """Hit when a request has been pending for ten minutes; the oldest first."""
    found = [
        {"name": one.name, "requester": one.requester, "created": shown(one.created)}
        for one in requests
        if one.pending and one.created is not None and gathered.moment - one.created >= PATIENCE
    ]
    if not found:
        return make_pass(GOOD_KEY, requests=len(requests))
    found.sort(key=lambda one: (one["created"] or "", one["name"]))
    return make_fail(ERROR_KEY, **offenders("requests", found))
