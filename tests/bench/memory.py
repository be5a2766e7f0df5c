"""Memory as the kernel counts it."""

from pathlib import Path

import psutil


def peak_mib(pid: int | None = None) -> float:
    """The most a process, this one by default, ever had resident; 0 once it has ended.

    `ru_maxrss` would be its parent's, where that had more: it is carried over fork and exec.
    """
    process = psutil.Process(pid)
    status = Path(f"/proc/{process.pid}/status")
    if not status.exists():
        return float(process.memory_info().rss) / 2**20
    kib = status.read_text().partition("VmHWM:")[2].split()
    return int(kib[0]) / 1024 if kib else 0.0
