"""The lock file of Kafka's jars: name, digest and licence of each.

`kafka-jars.txt` has a line per jar, `group:artifact:version sha256 licence`; `make lock-jars` writes it from the list
in `kafka-pom.xml` and its dependencies.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from headrace.runtime.errors import ConfigurationError

JARS: Final = Path(__file__).with_name("kafka-jars.txt")


@dataclass(frozen=True, order=True)
class Jar:
    """One line; ``licence`` is in SPDX's notation."""

    group: str
    artifact: str
    version: str
    sha256: str
    licence: str

    @property
    def file(self) -> str:
        """The file name that Maven gives a copy."""
        return f"{self.artifact}-{self.version}.jar"


def locked_jars(path: Path = JARS) -> list[Jar]:
    """Return every line; raises `ConfigurationError` for a malformed one."""
    jars = []
    for line in path.read_text(encoding="utf-8").splitlines():
        coordinates, digest, licence = (*line.split(" ", 2), "", "")[:3]
        names = coordinates.split(":")
        if len(names) != 3 or len(digest) != 64 or not licence:
            raise ConfigurationError(f"{path}: got {line!r}, expected group:artifact:version sha256 licence")
        group, artifact, version = names
        jars.append(Jar(group, artifact, version, digest, licence))
    return jars


def check_jars(directory: Path, path: Path = JARS) -> None:
    """Raise `ConfigurationError` unless the directory contains exactly the locked jars, byte for byte."""
    wanted = {jar.file: jar.sha256 for jar in locked_jars(path)}
    found = {jar.name: hashlib.sha256(jar.read_bytes()).hexdigest() for jar in directory.glob("*.jar")}
    wrong = sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))
    if wrong:
        raise ConfigurationError(
            f"Kafka's jars differ from {path.name}: {', '.join(wrong)}; if the list of jars was changed on "
            "purpose, run `make lock-jars`"
        )
