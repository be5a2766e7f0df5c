"""An upload: the file, its type, its sender."""

import uuid
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from headrace.archives.files import file_chunks
from headrace.archives.kinds import KindFinder
from headrace.contracts.headers import IDENTITY_HEADER, REQUEST_ID_HEADER
from headrace.contracts.identity import LOCAL_ORG_ID, Identity, Internal, System, encode_identity
from headrace.runtime.errors import ConfigurationError
from headrace.samples import KINDS, SampleOptions

OCTETS: Final = "application/octet-stream"
_OPERATORS: Final = {
    "ols": "openshift-lightspeed-operator/user-data-collection",
    "openshift": "insights-operator/headrace",
    "hccm": "cost-mgmt-operator/headrace",
    "assisted-installer": "assisted-installer-operator/headrace",
}
_NAMING_NO_CLUSTER: Final = frozenset(kind.service for kind in KINDS.values() if not kind.names_cluster)


@dataclass(frozen=True, kw_only=True)
class Upload:
    """One file with all parts of its request; equal request ids make a repetition harmless."""

    path: Path
    content_type: str
    headers: dict[str, str]
    # What a person should know of how it is sent.
    note: str = ""
    request_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    request_id_header: str = REQUEST_ID_HEADER

    @property
    def size_bytes(self) -> int:
        """The size of the file."""
        return self.path.stat().st_size

    @property
    def service(self) -> str:
        """The service of the upload."""
        return service_of(self.content_type)


def service_of(content_type: str) -> str:
    """Return the service in ``application/vnd.redhat.<service>.<category>``, else the default of a lenient ingress."""
    _, found, rest = content_type.partition("application/vnd.redhat.")
    if found:
        return rest.partition(".")[0]
    return "advisor" if content_type.startswith("application/gzip") else "hccm"


def as_cluster(cluster_id: str, content_type: str, *, token: str) -> dict[str, str]:
    """Return the headers of the operator that sends this kind of upload from a cluster, without a gateway."""
    operator = _OPERATORS.get(service_of(content_type), _OPERATORS["openshift"])
    return {"Authorization": f"Bearer {token}", "User-Agent": f"{operator} cluster/{cluster_id}"}


def as_organisation(org_id: str, cluster_id: str | None = None) -> dict[str, str]:
    """Return the header that a gateway adds, for a user or, with a cluster id, for a cluster."""
    identity = Identity(
        account_number=org_id,
        org_id=org_id,
        type="System" if cluster_id else "User",
        internal=Internal(org_id=org_id),
        system=System(cluster_id=cluster_id) if cluster_id else None,
    )
    return {IDENTITY_HEADER: encode_identity(identity)}


def sender(cluster_id: str | None, org_id: str | None, content_type: str, *, token: str) -> dict[str, str]:
    """Return the sender: a cluster sends by token, everyone else by identity.

    If neither archive nor options name a cluster, it is that of the samples made without options.
    """
    if cluster_id and not org_id:
        return as_cluster(cluster_id, content_type, token=token)
    if not cluster_id and service_of(content_type) in _NAMING_NO_CLUSTER:
        cluster_id = SampleOptions().cluster()
    return as_organisation(org_id or LOCAL_ORG_ID, cluster_id)


def assumed_cluster(content_type: str) -> str:
    """Return what to say of the cluster of an upload that names none; nothing where the archive names its own."""
    if service_of(content_type) not in _NAMING_NO_CLUSTER:
        return ""
    return (
        f"an archive of {service_of(content_type)} names no cluster: sent as that of the samples, "
        f"{SampleOptions().cluster()}; --cluster ID names another"
    )


def named_type(wanted: str) -> str:
    """Return the content type of a sample's kind, or the content type itself; raises ConfigurationError."""
    if wanted not in KINDS and "/" not in wanted:
        raise ConfigurationError(
            f"--type: got {wanted!r}, expected one of {', '.join(KINDS)} or a content type"
        )
    return KINDS[wanted].content_type if wanted in KINDS else wanted


async def content_type_of(path: Path, wanted: str | None) -> str:
    """Return the wanted type (a sample's kind or a content type), else the type that name or content show.

    Raises ConfigurationError if neither shows it.
    """
    if wanted is not None:
        return named_type(wanted)
    for kind in KINDS.values():
        if path.name in kind.file_names:
            return kind.content_type
    if path.suffix == ".csv":
        return KINDS["cost"].content_type
    found = await _kind_by_members(path)
    if not found:
        raise ConfigurationError(
            f"{path}: neither its name nor its contents identify its type; name it with --type "
            f"({', '.join(KINDS)} or a content type)"
        )
    return KINDS[found].content_type


async def _kind_by_members(path: Path) -> str:
    finder = KindFinder()
    async with aclosing(file_chunks(path)) as chunks:
        async for chunk in chunks:
            if not finder.look(chunk):
                break
    return finder.kind
