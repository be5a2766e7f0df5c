"""What Headrace is made of, as CycloneDX 1.6 JSON, into dist/: `make sbom`.

`sbom.cdx.json`: what an installation brings, the Python packages of its locks by `cyclonedx-py` and the jars of Kafka
that the local stack fetches. `sbom-image.cdx.json`: what is in the services' image, with Debian's packages where `DPKG`
names its list of them. Neither has a date or a serial number, so that the same locks give the same bytes.
"""

import argparse
import json
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any
from urllib.parse import quote

import debian
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from headrace.local.install import JAVA_LOCK
from headrace.local.jars import Jar, locked_jars

ROOT = Path(__file__).resolve().parents[1]
LOCKS = ROOT / "locks"

Component = dict[str, Any]


def main() -> int:
    parser = argparse.ArgumentParser(description="Write the software bills of materials.")
    parser.add_argument("--output", type=Path, default=ROOT / "dist", help="directory")
    parser.add_argument("--dpkg", type=Path, help="the image's /var/lib/dpkg/status")
    given = parser.parse_args()
    given.output.mkdir(parents=True, exist_ok=True)
    for name, components in bills(given.dpkg).items():
        text = json.dumps(bill(components), indent=2, sort_keys=True) + "\n"
        if problem := JsonStrictValidator(SchemaVersion.V1_6).validate_str(text):
            raise SystemExit(f"sbom: {name}: {problem}")
        path = given.output / name
        path.write_text(text, encoding="utf-8")
        print(path)
    return 0


def bills(dpkg: Path | None) -> dict[str, list[Component]]:
    """The components by file."""
    image = [python(item) for item in locked(LOCKS / "runtime.txt")]
    if dpkg is not None:
        packages = debian.installed(dpkg)
        image += [deb(item, debian.release(packages)) for item in packages]
    installed = [python(item) for lock in (LOCKS / "run.txt", JAVA_LOCK) for item in locked(lock)]
    return {"sbom.cdx.json": installed + [java(jar) for jar in locked_jars()], "sbom-image.cdx.json": image}


def locked(lock: Path) -> list[Component]:
    # What comes of it is validated once, when it is whole: a validation costs seconds.
    made = subprocess.run(
        (sys.executable, "-m", "cyclonedx_py", "requirements", str(lock),
         "--output-reproducible", "--no-validate", "--spec-version", "1.6", "--of", "JSON"),
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    found: list[Component] = json.loads(made.stdout)["components"]
    return found


def bill(components: list[Component]) -> dict[str, Any]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    itself = {
        "type": "application",
        "bom-ref": "headrace",
        "name": project["name"],
        "version": project["version"],
        "licenses": [{"license": {"id": project["license"]}}],
    }
    components = sorted(components, key=lambda item: item["bom-ref"])
    depends = [item["bom-ref"] for item in components]
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": itself},
        "components": components,
        "dependencies": [{"ref": "headrace", "dependsOn": depends}, *({"ref": ref} for ref in depends)],
    }


def python(item: Component) -> Component:
    """Its name for others, instead of a line of a file; a lock's wheels by their digests alone."""
    digests = [digest for place in item.pop("externalReferences", ()) for digest in place.get("hashes", ())]
    item.pop("description", None)
    properties = [{"name": "headrace:locked:sha256", "value": digest["content"]} for digest in digests]
    return item | {"bom-ref": item["purl"], "properties": properties}


def java(jar: Jar) -> Component:
    purl = f"pkg:maven/{jar.group}/{jar.artifact}@{jar.version}?type=jar"
    return {
        "type": "library",
        "bom-ref": purl,
        "purl": purl,
        "group": jar.group,
        "name": jar.artifact,
        "version": jar.version,
        "hashes": [{"alg": "SHA-256", "content": jar.sha256}],
        "licenses": [{"expression": jar.licence}],
    }


def deb(item: debian.Installed, release: str) -> Component:
    purl = (
        f"pkg:deb/debian/{item.name}@{quote(item.version)}?arch={item.architecture}&distro=debian-{release}"
    )
    return {"type": "library", "bom-ref": purl, "purl": purl, "name": item.name, "version": item.version}


if __name__ == "__main__":
    sys.exit(main())
