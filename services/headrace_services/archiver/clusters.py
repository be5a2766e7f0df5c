"""Finds the cluster id of an archive: in the message, the identity or the archive itself."""

import re
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Final

from headrace.archives.assisted import cluster_members
from headrace.archives.errors import ArchiveRejected
from headrace.archives.reader import Member, read_members
from headrace.contracts.announcement import Announcement, named_cluster
from headrace.contracts.assisted import SERVICE as ASSISTED_INSTALLER
from headrace.contracts.identity import Identity
from headrace.runtime.errors import Rejected
from headrace.runtime.untrusted import Unreadable, load_json

# Usually a UUID. The id becomes a folder's name, so it must not refer to another folder.
_CLUSTER_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,127}")
_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
# Texts by which programming languages write an absent value.
_NOTHING: Final = frozenset({"none", "null", "nil", "undefined"})
_MAX_ID_BYTES: Final = 1024
_MAX_MANIFEST_BYTES: Final = 1 << 20


class NoCluster(Rejected):
    """The archive can be read but names no cluster."""


def checked(cluster_id: str, source: str) -> str:
    """Return a cluster id that is usable as a folder name; raises `Rejected` with its source."""
    if not _CLUSTER_ID.fullmatch(cluster_id) or cluster_id.lower() in _NOTHING:
        raise Rejected(f"the cluster id {cluster_id[:64]!r} from {source} is invalid: expected a UUID")
    return cluster_id


def announced(message: Announcement, identity: Identity) -> str | None:
    """Return the cluster id if it is known without reading the archive, else None."""
    named = named_cluster(identity, cluster_name=message.cluster_name)
    return checked(*named) if named else None


async def inside(chunks: AsyncIterator[bytes], service: str = "") -> str:
    """Return the cluster id that a tar.gz names; reading stops there. Raises `Rejected` if it names none.

    In an assisted installer's archive every file is below its cluster's id; the first of several ids is used.
    """
    if service == ASSISTED_INSTALLER:
        return await _of_assisted_installer(chunks)
    looked_for = "no cluster_name in the message, no system.cluster_id in the identity"
    try:
        async with aclosing(read_members(chunks)) as members:
            async for member in members:
                if found := await _named_by(member):
                    return found
    except ArchiveRejected as error:
        raise Rejected(
            f"cluster id not found: {looked_for}, and the payload cannot be read: {error}"
        ) from error
    raise NoCluster(
        f"cluster id not found: {looked_for}, and in the archive no config/id, no cluster_id in manifest.json "
        "and no <cluster id>/events.json"
    )


async def _of_assisted_installer(chunks: AsyncIterator[bytes]) -> str:
    try:
        async with aclosing(cluster_members(chunks)) as members:
            async for cluster_id, _, _ in members:
                return checked(cluster_id, "the archive's first member")
    except ArchiveRejected as error:
        raise Rejected(f"cluster id not found: {error}") from error
    raise Rejected("cluster id not found: the archive is empty")


async def _named_by(member: Member) -> str | None:
    if not member.is_file:
        return None
    name = member.name.removeprefix("./")
    if name == "config/id":
        text = (await member.read(_MAX_ID_BYTES)).decode(errors="replace").strip()
        return checked(text, "config/id")
    if name == "manifest.json":
        return _from_manifest(await member.read(_MAX_MANIFEST_BYTES))
    folder, _, rest = name.partition("/")
    # A folder with an events.json is common; only an installer's archive names it by a UUID.
    if rest == "events.json" and _UUID.fullmatch(folder):
        return folder
    return None


def _from_manifest(content: bytes) -> str | None:
    try:
        manifest = load_json(content)
    except Unreadable:
        return None
    found = manifest.get("cluster_id") if isinstance(manifest, dict) else None
    return checked(found, "manifest.json") if isinstance(found, str) and found else None
