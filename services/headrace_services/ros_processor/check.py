"""What ros_processor would make of the usage files that koku passes on: each is aggregated."""

from collections.abc import AsyncIterator
from contextlib import aclosing

from headrace.archives.files import file_chunks
from headrace.archives.reader import read_members
from headrace.contracts.message import utc_now
from headrace.runtime.errors import Rejected
from headrace.service.row import Service
from headrace.service.trial import Finding, Trial, handled
from headrace_services.ros_processor.aggregation import CsvRejected, aggregate

_GZIP = b"\x1f\x8b"


async def check(trial: Trial, row: Service) -> Finding | None:
    """Aggregate every usage file."""
    if not trial.usage:
        return None
    return await handled(row, _aggregated(trial), "ros-usage", lambda: "ros-csv")


async def _aggregated(trial: Trial) -> str:
    used, rejected = [], []
    async for name, chunks in _files(trial):
        try:
            used.append(f"{name}: {await _outcome(chunks)}")
        except CsvRejected as error:
            rejected.append(f"{name}: {error}")
    if not used:
        raise Rejected("; ".join(rejected))
    return "; ".join([*used, *rejected])


async def _outcome(chunks: AsyncIterator[bytes]) -> str:
    async with aggregate(chunks, now=utc_now()) as found:
        workloads = {(each.namespace, each.object_type, each.object_name) async for each in found.workloads()}
    dropped = "".join(f", {count} dropped: {reason}" for reason, count in found.dropped.items())
    return f"{found.rows} rows of {len(workloads)} {found.kind} workloads{dropped}"


async def _files(trial: Trial) -> AsyncIterator[tuple[str, AsyncIterator[bytes]]]:
    """Each usage file with its bytes; an upload that is no archive is one itself."""
    with trial.path.open("rb") as opened:
        is_archive = opened.read(len(_GZIP)) == _GZIP
    if not is_archive:
        yield trial.path.name, file_chunks(trial.path)
        return
    async with aclosing(read_members(file_chunks(trial.path))) as members:
        async for member in members:
            if member.name in trial.usage:
                yield member.name, aiter(member)
