"""The events archive of an assisted installer: the JSON form of its members, and a reader of archives.

An archive may contain several clusters; each member is below its cluster's id.
"""

import json
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Iterator, Mapping
from contextlib import aclosing
from functools import lru_cache
from json.encoder import encode_basestring
from typing import Any, Final

from headrace.archives.errors import ArchiveRejected, shown
from headrace.archives.limits import MIB, ArchiveLimits
from headrace.archives.reader import Member, read_members
from headrace.archives.writer import Entry
from headrace.contracts import assisted as names
from headrace.runtime.untrusted import Unreadable, load_json

_MAX_METADATA_BYTES: Final = MIB
# Enough for a hundred thousand events, or for five thousand hosts with their inventories.
_MAX_VALUES: Final = 1_000_000


class IndentedArray:
    """The text of a JSON array, indented by one blank and built a few items at a time; ``null`` if it has no items."""

    def __init__(self) -> None:
        self._begun = False

    def add(self, items: Iterable[Mapping[str, Any]]) -> bytes:
        """Return the text of the next items."""
        texts = [_indented(item) for item in items]
        if not texts:
            return b""
        opening = ",\n" if self._begun else "[\n"
        self._begun = True
        return (opening + ",\n".join(texts)).encode()

    def end(self) -> bytes:
        """Return the text that closes the array."""
        return b"\n]" if self._begun else b"null"


def _indented(item: Mapping[str, Any]) -> str:
    try:
        # All values of an event are texts, and an archive has many events.
        fields = [_key(name) + encode_basestring(value) for name, value in item.items()]
    except TypeError:
        return json.dumps([item], indent=1, ensure_ascii=False)[2:-2]
    return " {\n" + ",\n".join(fields) + "\n }" if fields else " {}"


@lru_cache(maxsize=256)
def _key(name: str) -> str:
    return f"  {encode_basestring(name)}: "


def compact_entry(cluster_id: str, member: str, value: Any) -> Entry:
    """Return a member in the compact form."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return Entry.of(f"{cluster_id}/{member}", text.encode())


def array_entry(cluster_id: str, member: str, items: Iterable[Mapping[str, Any]]) -> Entry:
    """Return a member in the indented form, built as a whole."""
    array = IndentedArray()
    return Entry.of(f"{cluster_id}/{member}", array.add(items) + array.end())


async def cluster_members(
    chunks: AsyncIterator[bytes], limits: ArchiveLimits | None = None
) -> AsyncGenerator[tuple[str, str, Member], None]:
    """Yield cluster id, the rest of the name, and the member, for each file; nothing for an empty input.

    Raises:
        ArchiveRejected: the input is not a gzip-compressed tar, or a file is outside the clusters' directories.
    """
    first = await anext((chunk async for chunk in chunks if chunk), b"")
    if not first:
        return
    async with aclosing(read_members(_with_first(first, chunks), limits)) as members:
        async for member in members:
            if member.is_file:
                cluster_id, rest = cluster_and_rest(member.name)
                yield cluster_id, rest, member


def cluster_and_rest(name: str) -> tuple[str, str]:
    """Split a member's name; raises `ArchiveRejected` if the name does not begin with a cluster id."""
    cluster_id, slash, rest = name.partition("/")
    if not slash:
        raise ArchiveRejected(
            f"member {shown(name)} is outside the clusters' directories; expected <cluster id>/<name>"
        )
    return cluster_id, rest


async def read_metadata(
    chunks: AsyncIterator[bytes], limits: ArchiveLimits | None = None
) -> dict[str, dict[str, Any]]:
    """Return the metadata of each cluster in an archive, ``{}`` for a cluster without metadata.

    Raises:
        ArchiveRejected: the archive cannot be read, or has two different metadata objects for one cluster.
    """
    found: dict[str, dict[str, Any]] = {}
    async with aclosing(cluster_members(chunks, limits)) as members:
        async for cluster_id, rest, member in members:
            known = found.setdefault(cluster_id, {})
            if not rest.endswith(names.METADATA_MEMBER):
                continue
            metadata = await read_json(member, _MAX_METADATA_BYTES)
            if not isinstance(metadata, dict):
                raise ArchiveRejected(f"member {shown(member.name)} is not a JSON object")
            if known and known != metadata:
                raise ArchiveRejected(
                    f"the archive has two different metadata objects for cluster {shown(cluster_id)}"
                )
            found[cluster_id] = metadata
    return found


async def read_json(member: Member, max_bytes: int) -> Any:
    """Return a member's value; raises `ArchiveRejected` if it is too large or not JSON."""
    try:
        return load_json(await member.read(max_bytes), max_values=_MAX_VALUES)
    except Unreadable as error:
        raise ArchiveRejected(f"member {shown(member.name)} is {error}") from error


async def _with_first(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for chunk in rest:
        yield chunk


def entries(
    cluster_id: str,
    *,
    cluster: Mapping[str, Any] | None,
    hosts: Entry | None,
    infra_env: Mapping[str, Any] | None,
    events: Entry,
    versions: Mapping[str, str],
    deployment: Mapping[str, str],
    more_infra_envs: Iterable[Mapping[str, Any]] = (),
) -> Iterator[Entry]:
    """Yield the members in their order, without those that would be empty."""
    if cluster is not None:
        yield compact_entry(cluster_id, names.CLUSTER_MEMBER, cluster)
    if hosts is not None:
        yield hosts
    if infra_env is not None:
        yield compact_entry(cluster_id, names.INFRA_ENV_MEMBER, infra_env)
    yield events
    yield compact_entry(cluster_id, names.VERSIONS_MEMBER, versions)
    yield compact_entry(cluster_id, names.METADATA_MEMBER, {**versions, **deployment})
    if more := list(more_infra_envs):
        yield array_entry(cluster_id, names.MORE_INFRA_ENVS_MEMBER, more)
