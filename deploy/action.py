"""The steps of action.yml: `python3 deploy/action.py prepare`, `install`, `start`.

Inputs come in the environment, so that no input becomes a part of a command line. Imports the standard library only.
"""

import hashlib
import json
import os
import platform
import subprocess
import sys
import venv
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
LOCK = ROOT / "locks" / "run.txt"
LOCAL = ROOT / "libs" / "headrace" / "local"
# What the engines are made from; with another of them the cache holds another thing.
CACHED = (LOCK, LOCAL / "java.txt", *sorted(LOCAL.glob("kafka-*")))
OLDEST_PYTHON = (3, 11)


def main() -> int:
    step = STEPS.get(" ".join(sys.argv[1:]))
    if step is None:
        print(f"action: got {sys.argv[1:]}, expected one of {', '.join(STEPS)}", file=sys.stderr)
        return 2
    try:
        step(os.environ)
    except subprocess.CalledProcessError as error:
        # What went wrong it has said itself.
        return error.returncode
    return 0


def prepare(environment: Mapping[str, str]) -> None:
    """Give the key of the cache."""
    if sys.version_info < OLDEST_PYTHON:
        raise SystemExit(
            f"action: python3 is Python {platform.python_version()}, expected 3.11 or later; put "
            "actions/setup-python before this action"
        )
    digest = hashlib.sha256(environment.get("VERSION", "").encode())
    for path in CACHED:
        digest.update(path.read_bytes())
    words = (
        "headrace",
        platform.system(),
        platform.machine(),
        platform.python_version(),
        digest.hexdigest()[:16],
    )
    tell(environment, "GITHUB_OUTPUT", key="-".join(words))


def install(environment: Mapping[str, str]) -> None:
    """Install the version, or this commit with what it was tested with, for the steps that follow too."""
    programs = home(environment) / "bin"
    venv.create(home(environment), with_pip=True)
    pip = (programs / "python", "-m", "pip", "--disable-pip-version-check", "install", "--quiet")
    if version := environment.get("VERSION"):
        run(*pip, f"headrace=={version}")
    else:
        run(*pip, "--require-hashes", "--no-deps", "-r", LOCK)
        run(*pip, "--no-deps", ROOT)
    with Path(environment["GITHUB_PATH"]).open("a", encoding="utf-8") as file:
        file.write(f"{programs}\n")


def start(environment: Mapping[str, str]) -> None:
    """Start the stack in the background, where it stays until the job ends."""
    directory = environment.get("DIRECTORY") or str(home(environment).with_name("headrace-data"))
    chosen = {"--port-base": environment.get("PORT_BASE"), "--s3": environment.get("S3")}
    options = [word for name, value in chosen.items() if value for word in (name, value)]
    headrace = home(environment) / "bin" / "headrace"
    run(headrace, "up", "--detach", "--directory", directory, *options)
    words = (str(headrace), "urls", "--json", "--directory", directory)
    urls = json.loads(subprocess.run(words, check=True, stdout=subprocess.PIPE).stdout)
    tell(environment, "GITHUB_OUTPUT", directory=directory, **outputs(urls))
    tell(environment, "GITHUB_ENV", HEADRACE_DIRECTORY=directory)


def outputs(urls: Mapping[str, Any]) -> dict[str, str]:
    """The URLs by the names of action.yml's outputs: parts with dashes, and everything as JSON."""
    parts = urls["engines"] | urls["services"]
    return {"urls": json.dumps(urls)} | {name.replace("_", "-"): part["url"] for name, part in parts.items()}


def home(environment: Mapping[str, str]) -> Path:
    """The virtual environment."""
    return Path(environment["RUNNER_TEMP"]) / "headrace"


def tell(environment: Mapping[str, str], file: str, **values: str) -> None:
    with Path(environment[file]).open("a", encoding="utf-8") as stream:
        stream.writelines(f"{name}={value}\n" for name, value in values.items())


def run(*command: object) -> None:
    subprocess.run([str(word) for word in command], check=True)


STEPS: Mapping[str, Callable[[Mapping[str, str]], None]] = {
    "prepare": prepare,
    "install": install,
    "start": start,
}


if __name__ == "__main__":
    sys.exit(main())
