"""Reads archives in a process of its own and prints, a JSON line each, what became of them and what it cost."""

import asyncio
import json
import resource
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from headrace.archives import ArchiveRejected, read_members

CHUNK_BYTES = 64 * 1024
written: list[str] = []


def note_writes(event: str, arguments: tuple[object, ...]) -> None:
    opened_to_write = event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+")
    if opened_to_write or event in {
        "os.mkdir",
        "os.symlink",
        "os.link",
        "os.mkfifo",
        "os.mknod",
        "os.rename",
    }:
        written.append(f"{event} {arguments}")


async def chunks_of(path: Path, end: int) -> AsyncIterator[bytes]:
    with path.open("rb") as opened:
        while chunk := opened.read(min(CHUNK_BYTES, end - opened.tell())):
            yield chunk


async def outcome(path: Path, end: int) -> str:
    members = 0
    try:
        async for _ in read_members(chunks_of(path, end)):
            members += 1
    except ArchiveRejected as rejected:
        return str(rejected)
    return f"accepted {members} members"


def used() -> tuple[float, int]:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    # ru_maxrss is carried over from the parent through fork and exec; the kernel's own mark starts anew.
    status = Path("/proc/self/status").read_text()
    peak_kib = int(status.partition("VmHWM:")[2].split()[0])
    return usage.ru_utime + usage.ru_stime, peak_kib


def main() -> None:
    path, *ends = sys.argv[1:]
    sys.addaudithook(note_writes)
    asyncio.run(outcome(Path(path), 0))
    for end in map(int, ends) if ends else [Path(path).stat().st_size]:
        cpu_before, rss_before = used()
        reason = asyncio.run(outcome(Path(path), end))
        cpu_after, rss_after = used()
        line = {
            "reason": reason,
            "cpu_seconds": cpu_after - cpu_before,
            "extra_rss_mib": (rss_after - rss_before) / 1024,
            "written": written,
        }
        print(json.dumps(line))


if __name__ == "__main__":
    main()
