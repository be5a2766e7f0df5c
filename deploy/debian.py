"""Debian's packages in an image, as its /var/lib/dpkg/status lists them."""

import re
from pathlib import Path
from typing import NamedTuple

FIELD = re.compile(r"^(Package|Status|Source|Version|Architecture): (.*)$", re.MULTILINE)
SOURCE = re.compile(r"(?P<name>\S+)(?: \((?P<version>.+)\))?")


class Installed(NamedTuple):
    """A package, with what it was built from: Debian's advisories name sources."""

    name: str
    version: str
    architecture: str
    source: str
    source_version: str


def installed(status: Path) -> list[Installed]:
    """Raises ValueError if the file lists none."""
    found = []
    for paragraph in status.read_text(encoding="utf-8").split("\n\n"):
        fields = dict(FIELD.findall(paragraph))
        if fields.get("Status") != "install ok installed":
            continue
        source = SOURCE.fullmatch(fields.get("Source", fields["Package"]))
        name, version = source.groups() if source else (fields["Package"], None)
        found.append(
            Installed(
                fields["Package"],
                fields["Version"],
                fields["Architecture"],
                name,
                version or fields["Version"],
            )
        )
    if not found:
        raise ValueError(f"{status}: lists no installed package, expected an image's /var/lib/dpkg/status")
    return sorted(found)


def release(packages: list[Installed]) -> str:
    """Debian's major version: that of `base-files`."""
    return next(item.version.partition(".")[0] for item in packages if item.name == "base-files")
