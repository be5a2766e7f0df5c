"""Lock Kafka's jars: what Maven makes of kafka-pom.xml, with digests and licences, into kafka-jars.txt."""

import hashlib
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from pathlib import Path

from headrace.local.install import POM
from headrace.local.jars import JARS

REPOSITORY = Path.home() / ".m2" / "repository"
# As poms call them, in small letters, by a word that only they have.
LICENCES = {
    "apache": "Apache-2.0",
    "bsd-2": "BSD-2-Clause",
    "bsd 2": "BSD-2-Clause",
    "bsd-3": "BSD-3-Clause",
    "bsd 3": "BSD-3-Clause",
    "bsd": "BSD-2-Clause",
    "mit": "MIT",
    "go license": "BSD-3-Clause",
    "cc0": "CC0-1.0",
    "public domain": "CC0-1.0",
}


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="headrace-jars-") as name:
        folder = Path(name)
        pom = folder / "pom.xml"
        pom.write_bytes(POM.read_bytes())
        scope = (
            "-DincludeScope=runtime",
            f"-DoutputDirectory={folder / 'jars'}",
            f"-DoutputFile={folder / 'list'}",
        )
        goals = ("dependency:copy-dependencies", "dependency:list")
        subprocess.run(("mvn", "-B", "-q", "-f", str(pom), *goals, *scope), check=True)
        lines = [
            line_of(folder / "jars", *line.strip().split(":")[:4])
            for line in (folder / "list").read_text(encoding="utf-8").splitlines()
            if ":jar:" in line
        ]
    JARS.write_text("".join(f"{line}\n" for line in sorted(lines)), encoding="utf-8")
    return 0


def line_of(jars: Path, group: str, artifact: str, _packaging: str, version: str) -> str:
    digest = hashlib.sha256((jars / f"{artifact}-{version}.jar").read_bytes()).hexdigest()
    return f"{group}:{artifact}:{version} {digest} {licence(group, artifact, version)}"


def licence(group: str, artifact: str, version: str) -> str:
    """Of the pom, else of its parents: Maven has them all once it has the jar."""
    path = REPOSITORY / group.replace(".", "/") / artifact / version / f"{artifact}-{version}.pom"
    pom = ET.parse(path).getroot()  # noqa: S314 -- what Maven has checked
    names = [item.text or "" for item in pom.findall("{*}licenses/{*}license/{*}name")]
    if names:
        found = {
            next((spdx for word, spdx in LICENCES.items() if word in name.lower()), "") for name in names
        }
        if "" in found:
            raise SystemExit(f"{group}:{artifact}: what licence is {names}? LICENCES in {__file__} has none")
        return " OR ".join(sorted(found))
    parent = pom.find("{*}parent")
    if parent is None:
        raise SystemExit(f"{group}:{artifact}: its pom and its parents name no licence")
    return licence(*(str(parent.findtext(f"{{*}}{name}")) for name in ("groupId", "artifactId", "version")))


if __name__ == "__main__":
    sys.exit(main())
