"""A history of what was asked and answered, and the check that the platform kept its word (docs/guarantees.md)."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

TERMINAL = frozenset({"success", "error"})


@dataclass(frozen=True)
class Sent:
    """One upload as its sender saw it: acknowledged (201, 202) or given up."""

    request_id: str
    digest: str
    acknowledged: bool
    attempts: int = 1


@dataclass
class Seen:
    """What was found afterwards, by request id."""

    # Digests of the archived copies, by the request they came from.
    archived: Mapping[str, Sequence[str]]
    # Archive keys named by `ccx.archive.synced`; a repeated message names the same key.
    synced: Mapping[str, Sequence[str]]
    # Every (service, status) the tracker has.
    statuses: Mapping[str, Sequence[tuple[str, str]]]


@dataclass
class Verdict:
    """Counts, and what broke a promise."""

    counts: Counter[str] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        lines = [f"{name}: {count}" for name, count in sorted(self.counts.items())]
        return "\n".join([*lines, f"promises broken: {len(self.broken)}", *self.broken[:10]])


def check(sent: Sequence[Sent], seen: Seen) -> Verdict:
    """Every acknowledged upload is archived exactly once, whole, and ended; none is archived twice."""
    verdict = Verdict()
    for upload in sent:
        verdict.counts["sent"] += 1
        verdict.counts["acknowledged" if upload.acknowledged else "not acknowledged"] += 1
        verdict.counts["sends repeated"] += upload.attempts - 1
        _check_archive(upload, seen, verdict)
        _check_end(upload, seen, verdict)
    known = {upload.request_id for upload in sent}
    for stranger in set(seen.archived) - known:
        verdict.broken.append(f"{stranger} was archived and never sent")
    return verdict


def _check_archive(upload: Sent, seen: Seen, verdict: Verdict) -> None:
    copies = seen.archived.get(upload.request_id, ())
    keys = seen.synced.get(upload.request_id, ())
    verdict.counts["archived"] += len(copies)
    verdict.counts["synced messages repeated"] += len(keys) - len(set(keys))
    if len(copies) > 1:
        verdict.broken.append(f"{upload.request_id} was archived {len(copies)} times")
    if len(set(keys)) > 1:
        verdict.broken.append(f"{upload.request_id} was announced under {sorted(set(keys))}")
    if any(digest != upload.digest for digest in copies):
        verdict.broken.append(f"{upload.request_id} was archived with other bytes than were sent")
    if upload.acknowledged and not copies:
        verdict.broken.append(f"{upload.request_id} was acknowledged and never archived")
    if upload.acknowledged and not keys:
        verdict.broken.append(f"{upload.request_id} was acknowledged and its archive never announced")


def _check_end(upload: Sent, seen: Seen, verdict: Verdict) -> None:
    ends = {
        service: status for service, status in seen.statuses.get(upload.request_id, ()) if status in TERMINAL
    }
    if upload.acknowledged and ends.get("archiver") != "success":
        verdict.broken.append(f"{upload.request_id} was acknowledged and has no end: {ends}")
    verdict.counts["ended"] += bool(ends)
