"""What containers hold in memory: the proportional set size, in which shared pages count once."""

import re
from dataclasses import dataclass
from pathlib import Path

import psutil

_PSS = re.compile(r"^Pss:\s+(\d+) kB", re.MULTILINE)


@dataclass(frozen=True)
class Memory:
    """MiB by container."""

    by_name: dict[str, int]

    @property
    def total(self) -> int:
        return sum(self.by_name.values())

    def __str__(self) -> str:
        return f"{', '.join(f'{name} {mib}' for name, mib in self.by_name.items())}; all: {self.total} MiB"


def memory_of(stack) -> Memory:
    return Memory({name: _mib(stack.pid(name)) for name in stack.names})


def _mib(pid: int) -> int:
    total = 0
    for process in [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]:
        try:
            total += int(
                _PSS.search(Path(f"/proc/{process.pid}/smaps_rollup").read_text(encoding="ascii"))[1]
            )
        except (OSError, TypeError):
            continue  # it has ended
    return total // 1024
