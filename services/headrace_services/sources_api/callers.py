"""The clients of the API and their permissions."""

import hmac
import re
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from headrace.contracts.headers import IDENTITY_HEADER
from headrace.contracts.identity import (
    Identity,
    IdentityError,
    check_same,
    decode_identity,
    encode_identity,
)
from headrace.runtime.errors import Retryable
from headrace.web.caller import sent_identity
from headrace.web.peer import Peer
from headrace_services.sources_api.refusals import MethodRefused, Unauthorized

PSK: Final = "x-rh-sources-psk"
ACCOUNT: Final = "x-rh-sources-account-number"
ORG_ID: Final = "x-rh-sources-org-id"

_ACCESS: Final = "/api/rbac/v1/access/"
_PERMISSION: Final = "sources:*:*"
# Clusters may register and delete themselves; other methods are for people and services.
_CLUSTER_METHODS: Final = frozenset({"GET", "HEAD", "POST", "DELETE"})
_CLUSTER_DELETES: Final = re.compile(r".*/sources/[0-9]+/?")
# The organisation is indexed, and is sent as header and message key.
_NAME: Final = re.compile(r"[!-~]{0,255}")


@dataclass(frozen=True)
class Caller:
    """The client of a request and its organisation. ``identity`` is the header's value, or is built if none was sent.

    A ``trusted`` client is a service of the platform, or any client while access is not checked.
    """

    org_id: str
    account: str
    identity: str
    trusted: bool = False
    cluster: bool = False

    @property
    def key(self) -> str:
        """The message key of its events."""
        return self.org_id or self.account or self.identity


@dataclass(frozen=True)
class Gate:
    """Identifies clients by identity, or by key and organisation; ``open`` switches the check off."""

    psks: tuple[str, ...]
    open: bool
    default_org_id: str
    rbac: Peer | None = None

    def caller(self, request: web.Request) -> Caller:
        """Return the client of an operation on an organisation's rows; raises `Unauthorized`."""
        known = self._known(request)
        if known is not None:
            return known
        if self.default_org_id:
            return _made(self.default_org_id, "", trusted=True)
        raise Unauthorized(f"Authentication required by either [{IDENTITY_HEADER}] or [{PSK}]")

    def service(self, request: web.Request) -> Caller | None:
        """Return the client of an internal operation; None is a service that acts for every organisation."""
        trusted = self._trusted(request)
        if not trusted:
            raise Unauthorized(f"Authentication required by [{PSK}]")
        return self._known(request) or (
            _made(self.default_org_id, "", trusted=True) if self.default_org_id else None
        )

    async def check_change(self, request: web.Request, caller: Caller) -> None:
        """Check that the client may make this change; raises `Unauthorized` or `MethodRefused`."""
        if caller.trusted:
            return
        if caller.cluster:
            _check_cluster(request)
        elif self.rbac and not await _allowed(self.rbac, caller.identity):
            raise Unauthorized("Unauthorized Action: Missing RBAC permissions")

    def _known(self, request: web.Request) -> Caller | None:
        trusted = self._trusted(request)
        org_id, account = (_name(request, header) for header in (ORG_ID, ACCOUNT))
        try:
            if header := sent_identity(request.headers):
                caller = _identified(header, trusted=trusted)
                check_same("org_id", caller.org_id, org_id)
                check_same("account_number", caller.account, account)
                return caller
        except IdentityError as error:
            raise Unauthorized(str(error)) from None
        if not org_id and not account:
            return None
        if not trusted:
            raise Unauthorized(f"{ORG_ID} and {ACCOUNT} are accepted only with [{PSK}]")
        return _made(org_id, account, trusted=True)

    def _trusted(self, request: web.Request) -> bool:
        if self.open:
            return True
        sent = request.headers.get(PSK, "")
        if not sent:
            return False
        if not any(hmac.compare_digest(_bytes(sent), psk.encode()) for psk in self.psks):
            raise Unauthorized("Unauthorized Action: Incorrect PSK")
        return True


def _identified(header: str, *, trusted: bool) -> Caller:
    identity = decode_identity(header, type_required=False, org_required=False)
    org_id, account, system = identity.org_id, identity.account_number, identity.system
    if not org_id and not account:
        raise Unauthorized("the account number and the org id are missing")
    if not all(_NAME.fullmatch(name) for name in (org_id, account)):
        raise Unauthorized(
            "the account number or the org id is malformed: expected at most 255 printable ASCII characters, no blanks"
        )
    cluster = system is not None and bool(system.cn or system.cluster_id)
    return Caller(org_id, account, header, trusted=trusted, cluster=cluster)


def _bytes(header: str) -> bytes:
    """Return the bytes as they were sent: a header may contain bytes that are not text."""
    return header.encode(errors="surrogateescape")


def _name(request: web.Request, header: str) -> str:
    name, *more = request.headers.getall(header, [""])
    if more or not _NAME.fullmatch(name):
        raise Unauthorized(
            f"{header}: expected once, with at most 255 printable ASCII characters and no blanks"
        )
    return name


def _made(org_id: str, account: str, *, trusted: bool) -> Caller:
    """Return the client with a built identity for its events, because their readers require one."""
    identity = encode_identity(Identity(org_id=org_id, account_number=account))
    return Caller(org_id, account, identity, trusted=trusted)


def _check_cluster(request: web.Request) -> None:
    if request.method not in _CLUSTER_METHODS:
        raise MethodRefused
    if request.method == "DELETE" and not _CLUSTER_DELETES.fullmatch(request.path):
        raise MethodRefused


async def _allowed(rbac: Peer, identity: str) -> bool:
    answer = await rbac.call(
        "GET",
        _ACCESS,
        params={"application": "sources", "limit": "1000"},
        headers={IDENTITY_HEADER: identity},
    )
    if answer.status in {401, 403}:
        return False
    try:
        return any(item["permission"] == _PERMISSION for item in answer.body["data"])
    except (TypeError, KeyError):
        raise Retryable(f"RBAC answered {answer.shown}") from None
