"""Identifies senders: by the gateway's header or, without a gateway, by token and User-Agent.

Source of the second way: RedHatInsights/uhc-auth-proxy, to which the gateway delegates it.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from multidict import MultiMapping

from headrace.contracts.clusters import owned_name
from headrace.contracts.identity import (
    ANONYMOUS,
    Identity,
    Internal,
    System,
    decode_identity,
    encode_identity,
)
from headrace.web.caller import BadAuthorization, sent_authorization, sent_identity

OPERATORS: Final = (
    "insights-operator/", "cost-mgmt-operator/", "marketplace-operator/", "acm-operator/",
    "assisted-installer-operator/", "cryostat-operator/", "openshift-lightspeed-operator/", "jws-operator/",
    "runtimes-inventory-operator/",
)  # fmt: skip
# The id becomes part of identities, keys and log lines.
_CLUSTER_ID: Final = re.compile(r"[!-~]{1,200}")
_SCHEMES: Final = frozenset({"bearer", "basic"})


class Unauthenticated(Exception):
    """The credential is unknown; answered 401."""


class BadCredentials(Exception):
    """The headers contain no usable credential; answered 400."""


@dataclass(frozen=True)
class Sender:
    """An identity, and the header value with which the upload is announced."""

    identity: Identity
    b64_identity: str


@dataclass(frozen=True)
class Identities:
    """Finds the sender of a request.

    ``tokens`` maps the SHA-256 of a credential to its organisation, so that the table contains no secret; a row with
    ``clusters`` is only for these.
    """

    required: bool
    lenient: bool
    tokens: Mapping[str, Mapping[str, Any]]
    default_org_id: str

    def sender(self, headers: MultiMapping[str]) -> Sender:
        """Return the sender; raises `IdentityError`, `BadCredentials` or `Unauthenticated`."""
        header = sent_identity(headers)
        if not self.required:
            # The header is passed on unchanged, unless it is not ASCII: then it is not base64 and would not survive
            # JSON.
            return Sender(ANONYMOUS, header if header.isascii() else "")
        if not header and "Authorization" in headers:
            identity = self._by_token(headers)
            return Sender(identity, encode_identity(identity))
        return Sender(decode_identity(header, type_required=not self.lenient), header)

    def _by_token(self, headers: MultiMapping[str]) -> Identity:
        try:
            scheme, credential = sent_authorization(headers)
        except BadAuthorization:
            scheme = credential = ""
        if scheme not in _SCHEMES or not credential:
            raise BadCredentials("Invalid authorization header")
        row = self.tokens.get(hashlib.sha256(credential.encode()).hexdigest())
        if row is None and not self.default_org_id:
            raise Unauthenticated("Could not authenticate")
        owner = row or {"org_id": self.default_org_id, "account_number": self.default_org_id}
        cluster_id = _allowed(cluster_of(headers.get("User-Agent", "")), owner.get("clusters"))
        org_id = owner.get("org_id", "")
        return Identity(
            account_number=owner.get("account_number", ""),
            org_id=org_id,
            # A sender without a cluster counts as a user account; the archive names the cluster.
            type="System" if cluster_id else "User",
            internal=Internal(org_id=org_id),
            system=System(cluster_id=cluster_id) if cluster_id else None,
        )


def _allowed(cluster_id: str, clusters: Sequence[str] | None) -> str:
    """Return the cluster of a sender whose credential is limited to some clusters; raises `Unauthenticated`."""
    if clusters is None:
        return cluster_id
    if not cluster_id and len(clusters) == 1:
        return clusters[0]
    if owned_name(cluster_id) not in map(owned_name, clusters):
        raise Unauthenticated("Could not authenticate: the credential is not this cluster's")
    return cluster_id


def cluster_of(user_agent: str) -> str:
    """Return the cluster id in ``<operator>/<anything> cluster/<cluster id>``.

    It is empty for the User-Agent of another program or without a cluster: then the credential names the organisation
    and the archive names the cluster. Raises `BadCredentials` if the id is malformed.
    """
    first, _, rest = user_agent.partition(" ")
    cluster_id = rest.removeprefix("cluster/")
    if not first.startswith(OPERATORS) or cluster_id == rest:
        return ""
    if not _CLUSTER_ID.fullmatch(cluster_id):
        raise BadCredentials("Invalid user-agent")
    return cluster_id
