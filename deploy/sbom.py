"""What Headrace is made of, as CycloneDX 1.6 JSON: `make sbom` writes dist/sbom.cdx.json.

The Python packages of a lock by `cyclonedx-py`, with the jars of Kafka that the local stack fetches. It has no date and
no serial number, so that the same locks give the same bytes.
"""

import argparse
import json
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from headrace.local.jars import Jar, locked_jars

ROOT = Path(__file__).resolve().parents[1]


def main() -> int:
    parser = argparse.ArgumentParser(description="Write the software bill of materials.")
    parser.add_argument("--lock", type=Path, default=ROOT / "locks" / "runtime.txt")
    parser.add_argument("--output", type=Path, default=ROOT / "dist" / "sbom.cdx.json")
    given = parser.parse_args()
    text = json.dumps(bill(given.lock), indent=2, sort_keys=True) + "\n"
    if problem := JsonStrictValidator(SchemaVersion.V1_6).validate_str(text):
        raise SystemExit(f"sbom: {problem}")
    given.output.parent.mkdir(parents=True, exist_ok=True)
    given.output.write_text(text, encoding="utf-8")
    print(given.output)
    return 0


def bill(lock: Path) -> dict[str, Any]:
    # What comes of it is validated once, when it is whole: a validation costs seconds.
    made = subprocess.run(
        (sys.executable, "-m", "cyclonedx_py", "requirements", str(lock), "--output-reproducible",
         "--no-validate", "--spec-version", "1.6", "--of", "JSON"),
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    found: dict[str, Any] = json.loads(made.stdout)
    components = [python(item) for item in found["components"]] + [java(jar) for jar in locked_jars()]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    itself = {
        "type": "application",
        "bom-ref": "headrace",
        "name": project["name"],
        "version": project["version"],
        "licenses": [{"license": {"id": project["license"]}}],
    }
    components.sort(key=lambda item: item["bom-ref"])
    found["components"] = components
    found["metadata"] = found.get("metadata", {}) | {"component": itself}
    depends = [item["bom-ref"] for item in components]
    found["dependencies"] = [{"ref": "headrace", "dependsOn": depends}, *({"ref": ref} for ref in depends)]
    return found


def python(item: dict[str, Any]) -> dict[str, Any]:
    """Its name for others, instead of a line of a file; a lock's wheels by their digests alone."""
    digests = [digest for place in item.pop("externalReferences", ()) for digest in place.get("hashes", ())]
    item.pop("description", None)
    properties = [{"name": "headrace:locked:sha256", "value": digest["content"]} for digest in digests]
    return item | {"bom-ref": item["purl"], "properties": properties}


def java(jar: Jar) -> dict[str, Any]:
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


if __name__ == "__main__":
    sys.exit(main())
