"""Ask the registries whether the tags of images.lock are still at their digests: `make pins`.

Needs skopeo (Debian: apt-get install skopeo) and a way to the registries. Exit code 1: a tag has moved, which may be a
rebuild with fixes or somebody else's work; look before taking the new digest over.
"""

import hashlib
import re
import subprocess
import sys
from pathlib import Path

LOCK = Path(__file__).with_name("images.lock")
PINNED = re.compile(r"(?P<tag>[a-z0-9.-]+/[\w./-]+:[\w.-]+)@(?P<digest>sha256:[0-9a-f]{64})")


def pins(path: Path = LOCK) -> dict[str, str]:
    """Digest by tag; raises SystemExit naming the line that is none."""
    found = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            match = PINNED.fullmatch(line)
            if match is None:
                raise SystemExit(f"{path}: got {line!r}, expected registry/name:tag@sha256:<64 hex digits>")
            found[match["tag"]] = match["digest"]
    return found


def pinned(tag: str, path: Path = LOCK) -> str:
    """The tag with its digest, if there is one; else as it was."""
    digest = pins(path).get(tag)
    return f"{tag}@{digest}" if digest else tag


def main() -> int:
    moved = 0
    for tag, digest in pins().items():
        try:
            raw = subprocess.run(
                ("skopeo", "inspect", "--raw", f"docker://{tag}"), check=True, capture_output=True
            ).stdout
        except (OSError, subprocess.CalledProcessError) as error:
            print(
                f"pins: {tag} cannot be asked for: {getattr(error, 'stderr', b'').decode() or error}",
                file=sys.stderr,
            )
            return 2
        there = f"sha256:{hashlib.sha256(raw).hexdigest()}"
        print(f"{'same ' if there == digest else 'MOVED'} {tag} {there}")
        moved += there != digest
    return 1 if moved else 0


if __name__ == "__main__":
    sys.exit(main())
