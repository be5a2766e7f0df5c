"""Make a release: `make release VERSION=0.2.0`.

    python deploy/release.py set 0.2.0        the version and the day, into the files that carry them
    python deploy/release.py publish 0.2.0    commit, tag, push: the workflow `release` does the rest

`make docs` runs between the two, for what is generated. Imports the standard library only.
"""

import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from release_notes import release_notes

ROOT = Path(__file__).resolve().parents[1]
BRANCH = "main"
REMOTE = "origin"
# What carries the version: file, and pattern with the version's place between two groups. pytest-headrace needs the
# headrace that it is released with.
VERSIONS = (
    ("pyproject.toml", r'(?m)(^version = ").*(")$'),
    ("pytest-headrace/pyproject.toml", r'(?m)(^version = ").*(")$'),
    ("pytest-headrace/pyproject.toml", r'("headrace==)[^"]+(")'),
    ("deploy/kustomize/overlays/production/kustomization.yaml", r"(?m)(^ *newTag: ).*()$"),
)
DAY = r"(?m)(^## \[{version}\] - ).*()$"


def prepare(version: str, root: Path = ROOT) -> None:
    """Set version and day. Raises ValueError saying what keeps the release from being made."""
    if not re.fullmatch(r"\d+\.\d+\.\d+", version):
        raise ValueError(f"VERSION: got {version!r}, expected X.Y.Z")
    if (branch := git(root, "rev-parse", "--abbrev-ref", "HEAD")) != BRANCH:
        raise ValueError(f"branch: got {branch}, expected {BRANCH}")
    if changed := git(root, "status", "--porcelain"):
        raise ValueError(f"uncommitted changes: expected none, got\n{changed}")
    if git(root, "tag", "--list", f"v{version}"):
        raise ValueError(f"v{version} is there already: expected a version that was not released")
    day = datetime.now(UTC).date().isoformat()
    try:
        for name, pattern in VERSIONS:
            replace(root / name, pattern, version)
        replace(root / "CHANGELOG.md", DAY.format(version=re.escape(version)), day)
        release_notes(f"v{version}", root)
    except ValueError:
        git(root, "checkout", "--", ".")
        raise


def publish(version: str, root: Path = ROOT) -> None:
    """Commit, tag and push at once: either both arrive or neither does."""
    release_notes(f"v{version}", root)
    git(root, "commit", "--quiet", "--all", "--message", f"Release {version}")
    git(root, "tag", "--annotate", f"v{version}", "--message", f"Headrace {version}")
    push = ("push", "--quiet", "--atomic", REMOTE, BRANCH, f"v{version}")
    try:
        git(root, *push)
    except ValueError as error:
        raise ValueError(f"{error}\ncommit and tag are made; what is left: git {' '.join(push)}") from None
    print(f"v{version} is pushed: the workflow `release` tests, builds and publishes it")


def replace(path: Path, pattern: str, text: str) -> None:
    before = path.read_text(encoding="utf-8")
    after, count = re.subn(pattern, lambda found: f"{found[1]}{text}{found[2]}", before)
    if count != 1:
        raise ValueError(f"{path.name}: got {count} lines like {pattern}, expected one")
    path.write_text(after, encoding="utf-8")


def git(root: Path, *words: str) -> str:
    done = subprocess.run(("git", *words), cwd=root, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ValueError(f"git {words[0]}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout.strip()


STEPS = {"set": prepare, "publish": publish}


def main() -> int:
    if len(sys.argv) != 3 or sys.argv[1] not in STEPS:
        print("usage: make release VERSION=X.Y.Z", file=sys.stderr)
        return 2
    try:
        STEPS[sys.argv[1]](sys.argv[2])
    except ValueError as error:
        print(f"release: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
