"""Print what CHANGELOG.md says of a release: `python deploy/release_notes.py v0.2.0`.

Fails unless the tag is the version in pyproject.toml and its section in the changelog is dated and says something.
Imports the standard library only, so that the workflow `release` can check a tag before anything is installed.
"""

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def release_notes(tag: str, root: Path = ROOT) -> str:
    """The text of the tag's section. Raises ValueError saying what is not ready."""
    version = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    if tag != f"v{version}":
        raise ValueError(f"tag: got {tag}, expected v{version}, the version in pyproject.toml")
    changelog = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    # A section ends where the next begins.
    sections = re.findall(r"^## \[(.+?)\] - (.+)\n((?:(?!## ).*\n?)*)", changelog, re.MULTILINE)
    dated = {name: (date, text.strip()) for name, date, text in sections}
    if version not in dated:
        raise ValueError(f"CHANGELOG.md: has no section [{version}]")
    date, text = dated[version]
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", date):
        raise ValueError(f"CHANGELOG.md: the date of [{version}]: got {date!r}, expected YYYY-MM-DD")
    if not text:
        raise ValueError(f"CHANGELOG.md: the section [{version}] is empty")
    return text


def main() -> int:
    if len(sys.argv) != 2:
        print("usage: python deploy/release_notes.py TAG", file=sys.stderr)
        return 2
    try:
        print(release_notes(sys.argv[1]))
    except ValueError as error:
        print(f"release_notes: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
