"""Who looks at the console, what they may see, and as whom the console asks other services for them.

A tenant sees its own organisation's payloads, clusters and recommendations. An operator sees every organisation's, and
topics, dead letters and the state of services. Where Headrace is lenient, whoever reaches the port is an operator.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from headrace.contracts.headers import IDENTITY_HEADER
from headrace.contracts.identity import LOCAL_ORG_ID, Identity, Internal, System, User, encode_identity
from headrace.web.caller import has_identity, identity_of, sent_identity
from headrace.web.errors import Refusal
from headrace.web.parameters import Parameter, Text

ORGANISATION: Final = Parameter(
    "org",
    Text(max_bytes=255),
    "",
    "organisation that an operator looks at; absent: all, where a page can show all",
)


@dataclass(frozen=True)
class Viewer:
    """Whoever sent a request.

    ``org_id`` is the organisation that they look at, empty for all; ``own`` the organisation of a view that shows one
    only. ``identity`` is the header that they sent.
    """

    name: str
    org_id: str
    own: str
    is_operator: bool
    identity: str = ""

    def headers(self, org_id: str | None = None, *, cluster_id: str = "") -> Mapping[str, str]:
        """Return the header for a request to another service: their own, or that of the organisation looked at."""
        wanted = self.org_id if org_id is None else org_id
        if self.is_operator and wanted:
            return {IDENTITY_HEADER: _of_organisation(wanted, cluster_id)}
        return {IDENTITY_HEADER: self.identity} if self.identity else {}

    def may_see(self, org_id: str) -> bool:
        """Whether something of an organisation may be shown; of something that names none, only to operators."""
        if self.is_operator:
            return not self.org_id or org_id == self.org_id
        return org_id == self.org_id != ""


def viewer_of(request: web.Request, *, lenient: bool, operator_role: str) -> Viewer:
    """Return who sent a request; raises a `Refusal` if nobody may look as them."""
    asked = ORGANISATION.read(request.query)
    if lenient and not has_identity(request.headers):
        return Viewer("local", asked, asked or LOCAL_ORG_ID, is_operator=True)
    identity = identity_of(request.headers)
    header = sent_identity(request.headers)
    if identity.is_associate:
        if operator_role not in identity.roles:
            raise Refusal(403, f"the identity is not an associate's with the role {operator_role}")
        name = identity.associate.email if identity.associate else ""
        return Viewer(name or "an associate", asked, asked, is_operator=True, identity=header)
    if not identity.org_id:
        raise Refusal(403, "the identity names no organisation")
    name = identity.user.username if identity.user else ""
    return Viewer(name or "a user", identity.org_id, identity.org_id, is_operator=False, identity=header)


def operator(viewer: Viewer) -> Viewer:
    """Return an operator; refuses anybody else."""
    if not viewer.is_operator:
        raise Refusal(
            403, "this page shows what belongs to no single organisation; it needs an operator's identity"
        )
    return viewer


def _of_organisation(org_id: str, cluster_id: str) -> str:
    return encode_identity(
        Identity(
            account_number=org_id,
            org_id=org_id,
            type="System" if cluster_id else "User",
            internal=Internal(org_id=org_id),
            user=None if cluster_id else User(username="console", user_id="console"),
            system=System(cluster_id=cluster_id, cn=cluster_id) if cluster_id else None,
        )
    )
