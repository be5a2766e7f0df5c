"""A disk of a megabyte or so: a file system of its own where this process may mount one, else a bound on files."""

import resource
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass
class Disk:
    path: Path
    mounted: bool

    def fill(self) -> None:
        if not self.mounted:
            resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
            return
        with self._filler.open("wb", buffering=0) as filler:
            for size_bytes in (1 << 16, 1):
                try:
                    while True:
                        filler.write(bytes(size_bytes))
                except OSError:
                    continue

    def free(self) -> None:
        if self.mounted:
            self._filler.unlink()
        else:
            most = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
            resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))

    @property
    def _filler(self) -> Path:
        return self.path / "filler"

    @property
    def used_by_others(self) -> list[str]:
        return sorted(path.name for path in self.path.iterdir() if path != self._filler)


@contextmanager
def small_disk(directory: Path, *, mebibytes: int = 4) -> Iterator[Disk]:
    path = directory / "small-disk"
    path.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={mebibytes}m", "tmpfs", str(path)]
    disk = Disk(path, subprocess.run(mount, capture_output=True, check=False).returncode == 0)
    try:
        yield disk
    finally:
        if disk.mounted:
            subprocess.run(["umount", "--lazy", str(path)], check=True)
        else:
            disk.free()
