"""Known vulnerabilities of what the locks name, told from advisories on this machine: `make audit ADVISORIES=folder`.

The folder holds OSV's export for PyPI and for Maven: `all.zip` of each, or the JSON files in them, at any depth. With
`DPKG=file`, an image's /var/lib/dpkg/status, Debian's packages are looked up too, and the folder holds the export for
that Debian: there only what has a fix is told. No network is used. Exit code 0: none; 1: some, each with a line; 2: it
could not be told.
"""

import argparse
import json
import re
import sys
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import debian
from univers.versions import DebianVersion, InvalidVersion, MavenVersion, PypiVersion, Version

from headrace.local.install import JAVA_LOCK
from headrace.local.jars import locked_jars

ROOT = Path(__file__).resolve().parents[1]
LOCKS = (
    *(ROOT / "locks" / f"{name}.txt" for name in ("dev", "runtime", "pip", "uv", "audit", "dist", "site")),
    JAVA_LOCK,
)
ACCEPTED = ROOT / "locks" / "accepted-advisories.txt"
VERSIONS: Mapping[str, type[Version]] = {"PyPI": PypiVersion, "Maven": MavenVersion, "Debian": DebianVersion}
PINNED = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", re.MULTILINE)

Advisory = Mapping[str, Any]


class Package(NamedTuple):
    """As OSV names it; of Debian the ecosystem has the release, such as `Debian:12`."""

    ecosystem: str
    name: str
    version: str


class Undecided(Exception):
    """The text says what is missing."""


def main() -> int:
    parser = argparse.ArgumentParser(description="Look for known vulnerabilities of what is locked.")
    parser.add_argument("--advisories", type=Path)
    parser.add_argument("--accepted", type=Path, default=ACCEPTED)
    parser.add_argument("--lock", type=Path, nargs="*", default=LOCKS)
    parser.add_argument("--dpkg", type=Path, help="an image's /var/lib/dpkg/status")
    given = parser.parse_args()
    try:
        wanted = packages(given.lock) + (of_debian(given.dpkg) if given.dpkg else [])
        found, total, newest = audited(wanted, given.advisories)
        accepted = read_accepted(given.accepted, date.today())  # noqa: DTZ011 -- a day in a file, not a moment
    except Undecided as error:
        print(f"audit: {error}", file=sys.stderr)
        return 2
    left = [line for line in found if line.split()[2] not in accepted]
    print("\n".join(left), end="\n" if left else "")
    told = f"{total} advisories, the newest of {newest or 'no date'}; {len(found) - len(left)} accepted"
    print(f"audit: {len(left)} known vulnerabilities ({told})")
    return 1 if left else 0


def packages(locks: Sequence[Path]) -> list[Package]:
    python = {
        Package("PyPI", normalised(name), version)
        for lock in locks
        for name, version in PINNED.findall(lock.read_text(encoding="utf-8"))
    }
    if not python:
        raise Undecided(f"no package is pinned in {', '.join(map(str, locks))}")
    return sorted(
        python | {Package("Maven", f"{jar.group}:{jar.artifact}", jar.version) for jar in locked_jars()}
    )


def of_debian(status: Path) -> list[Package]:
    try:
        found = debian.installed(status)
    except (OSError, ValueError) as error:
        raise Undecided(f"DPKG: {error}") from error
    ecosystem = f"Debian:{debian.release(found)}"
    return sorted({Package(ecosystem, item.source, item.source_version) for item in found})


def audited(wanted: Sequence[Package], folder: Path | None) -> tuple[list[str], int, str]:
    """A line for each vulnerability, the number of advisories, and the day of the newest."""
    if folder is None or not folder.is_dir():
        raise Undecided(
            f"ADVISORIES: got {str(folder or '')!r}, expected a folder with OSV's export of advisories: "
            "PyPI/all.zip and Maven/all.zip"
        )
    by_name: dict[tuple[str, str], list[Package]] = {}
    for package in wanted:
        by_name.setdefault(package[:2], []).append(package)
    lines, seen, total, newest = set(), set(), 0, ""
    for advisory in advisories(folder):
        total += 1
        newest = max(newest, str(advisory.get("modified", ""))[:10])
        for affected in advisory.get("affected", ()):
            named = affected.get("package", {})
            ecosystem = str(named.get("ecosystem", ""))
            if not ecosystem.startswith("Debian:"):
                ecosystem = ecosystem.partition(":")[0]
            seen.add(ecosystem)
            name = str(named.get("name", ""))
            name = normalised(name) if ecosystem == "PyPI" else name
            for package in by_name.get((ecosystem, name), ()):
                if not advisory.get("withdrawn") and (why := hit(package, affected)):
                    lines.add(f"{package.name} {package.version} {advisory['id']} {why} {summary(advisory)}")
    if missing := sorted({package.ecosystem for package in wanted} - seen):
        raise Undecided(f"{folder} has no advisory of {' and '.join(missing)}: expected {missing[0]}/all.zip")
    return sorted(lines), total, newest


def advisories(folder: Path) -> Iterator[Advisory]:
    for path in sorted(folder.rglob("*")):
        try:
            if path.suffix == ".json":
                yield json.loads(path.read_bytes())
            elif path.suffix == ".zip":
                with zipfile.ZipFile(path) as archive:
                    for name in archive.namelist():
                        if name.endswith(".json"):
                            yield json.loads(archive.read(name))
        except (OSError, ValueError, zipfile.BadZipFile) as error:
            raise Undecided(f"{path} cannot be read: {error}") from error


def hit(package: Package, affected: Mapping[str, Any]) -> str:
    """Why the version is affected, empty where it is not: OSV's rules of evaluation.

    Of Debian what nobody can repair yet does not count; it has hundreds of those.
    """
    of_debian = package.ecosystem.startswith("Debian:")
    if not of_debian and package.version in affected.get("versions", ()):
        return "affected"
    kind = VERSIONS[package.ecosystem.partition(":")[0]]
    for span in affected.get("ranges", ()):
        if span.get("type") == "GIT":
            continue
        try:
            if vulnerable(kind(package.version), span.get("events", ()), kind):
                fixed = [event["fixed"] for event in span["events"] if "fixed" in event]
                if fixed or not of_debian:
                    return f"fixed in {', '.join(fixed)}" if fixed else "not fixed"
        except InvalidVersion as error:
            return f"undecided ({error})"
    return ""


def vulnerable(version: Version, events: Sequence[Mapping[str, str]], kind: type[Version]) -> bool:
    def moment(event: Mapping[str, str]) -> tuple[bool, Any]:
        ((_, text),) = event.items()
        return (text != "0", kind("0" if text == "0" else text))

    state = False
    for event in sorted((event for event in events if "limit" not in event), key=moment):
        ((what, text),) = event.items()
        if what == "introduced" and (text == "0" or version >= kind(text)):
            state = True
        elif (what == "fixed" and version >= kind(text)) or (
            what == "last_affected" and version > kind(text)
        ):
            state = False
    return state


def read_accepted(path: Path, today: date) -> set[str]:
    """Lines of `ID until-day reason`; a day that is over no longer counts."""
    accepted = set()
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        if line.strip() and not line.startswith("#"):
            words = line.split(maxsplit=2)
            try:
                if len(words) == 3 and date.fromisoformat(words[1]) >= today:
                    accepted.add(words[0])
                elif len(words) != 3:
                    raise ValueError("no reason")
            except ValueError as error:
                raise Undecided(f"{path}: got {line!r} ({error}), expected: ID YYYY-MM-DD reason") from error
    return accepted


def normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def summary(advisory: Advisory) -> str:
    text = advisory.get("summary") or str(advisory.get("details", "")).partition("\n")[0]
    return " ".join(str(text).split())[:120]


if __name__ == "__main__":
    sys.exit(main())
