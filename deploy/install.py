"""Sets up the virtual environment of this checkout: `python3 deploy/install.py .venv locks/run.txt --kafka`.

uv, itself a locked wheel, installs what the lock names; where it cannot, pip does. Hashes decide what either accepts.
With `--kafka` the jars of the local shape's Kafka are fetched meanwhile. Imports the standard library only.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOCKS = ROOT / "locks"
OLDEST = (3, 11)
HEARTBEAT_SECONDS = 5.0
STOP_SECONDS = 10.0
PIP = ("-m", "pip", "--disable-pip-version-check", "--retries", "2", "install", "--quiet")
LOCKED = ("--require-hashes", "--no-deps", "-r")
# What venv, uv and pip say, and what it means for whoever waits.
MEANINGS = {
    "ensurepip is not available": "Python's venv is not installed (Debian: apt-get install python3-venv)",
    "No space left on device": "no space left on the disk",
    "os error 28": "no space left on the disk",
    "Permission denied": "a directory cannot be written",
    "Read-only file system": "a directory cannot be written",
    "NameResolutionError": "the package index cannot be reached",
    "NewConnectionError": "the package index cannot be reached",
    "dns error": "the package index cannot be reached",
    "tcp connect error": "the package index cannot be reached",
    "client error (Connect)": "the package index cannot be reached",
}


class Failed(Exception):
    """The text says why, in one line."""


def main() -> int:
    parser = argparse.ArgumentParser(description="Set up a virtual environment from a lock.")
    parser.add_argument("environment", type=Path)
    parser.add_argument("lock", type=Path)
    parser.add_argument("--kafka", action="store_true", help="fetch Kafka's jars at the same time")
    parser.add_argument("--installer", choices=("uv", "pip"), default="uv")
    given = parser.parse_args()
    made = not given.environment.exists()
    began = time.monotonic()
    try:
        install(given.environment.absolute(), given.lock, with_uv=given.installer == "uv", kafka=given.kafka)
    except Failed as error:
        print(f"install: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        print("install: interrupted", file=sys.stderr)
    else:
        print(f"installed in {time.monotonic() - began:.0f} s", flush=True)
        return 0
    if made:
        shutil.rmtree(given.environment, ignore_errors=True)
    return 1


def install(environment: Path, lock: Path, *, with_uv: bool, kafka: bool) -> None:
    """Raises Failed."""
    check(environment, kafka=kafka)
    python = environment / "bin" / "python"
    print(f"Installing Headrace into {environment.name} (once, about half a minute) …", flush=True)
    if not python.exists():
        run("creating the virtual environment", (sys.executable, "-m", "venv", str(environment)))
    uv = uv_of(python) if with_uv else None
    with fetching_kafka(python, uv) if kafka else contextlib.nullcontext():
        count = len(re.findall(r"^\S+==", lock.read_text(encoding="utf-8"), re.MULTILINE))
        packages(python, uv, f"{count} packages", (*LOCKED, str(lock)))
        packages(python, uv, "Headrace", ("--no-deps", "--no-build-isolation", "-e", str(ROOT)))


def check(environment: Path, *, kafka: bool) -> None:
    if sys.version_info < OLDEST:
        this, oldest = (".".join(map(str, version[:2])) for version in (sys.version_info, OLDEST))
        raise Failed(f"this is Python {this}, Headrace needs {oldest} or later: make PYTHON=python3.12 …")
    if not os.access(environment if environment.exists() else environment.parent, os.W_OK):
        raise Failed(f"{environment.parent} cannot be written")
    if kafka and not (has_home() or os.environ.get("HEADRACE_CACHE") or os.environ.get("XDG_CACHE_HOME")):
        raise Failed(
            f"the home directory {Path.home()} does not exist, and Kafka is kept there: set HOME, or "
            "HEADRACE_CACHE to another directory"
        )


def has_home() -> bool:
    return Path.home().is_dir()


def uv_of(python: Path) -> Path | None:
    """Return the locked uv, installed beside Python; None where it has no wheel for this system."""
    lock = LOCKS / "uv.txt"
    uv = python.with_name("uv")
    (version,) = re.findall(r"^uv==(\S+)", lock.read_text(encoding="utf-8"), re.MULTILINE)
    if uv.exists():
        said = subprocess.run((uv, "--version"), check=False, capture_output=True, text=True)
        if said.stdout.split()[1:2] == [version]:
            return uv
    try:
        run(
            f"uv {version}",
            (
                str(python),
                *PIP,
                *cache_option("--no-cache-dir"),
                "--only-binary",
                ":all:",
                *LOCKED,
                str(lock),
            ),
        )
    except Failed as error:
        print(f"  without uv: {error}", flush=True)
        return None
    return uv


def packages(python: Path, uv: Path | None, what: str, options: Sequence[str]) -> None:
    """Install with uv, else with pip, which may have settings of the user's that uv does not read."""
    if uv is not None:
        try:
            command = (
                str(uv),
                "pip",
                "install",
                "--quiet",
                "--python",
                str(python),
                *cache_option("--no-cache"),
            )
            run(what, (*command, *options))
        except Failed as error:
            print(f"  with pip, because uv failed: {error}", flush=True)
        else:
            return
    run(f"{what} with pip", (str(python), *PIP, *cache_option("--no-cache-dir"), *options))


def cache_option(without: str) -> tuple[str, ...]:
    """Both installers would create a home directory that does not exist."""
    return () if has_home() or os.environ.get("XDG_CACHE_HOME") else (without,)


@contextlib.contextmanager
def fetching_kafka(python: Path, uv: Path | None) -> Iterator[None]:
    """Fetch Kafka meanwhile. Whether that succeeds matters to the stack alone, which tries again and says why."""
    packages(python, uv, "jgo, which fetches Kafka", (*LOCKED, str(LOCKS / "jgo.txt")))
    path = os.pathsep.join(filter(None, (str(ROOT / "libs"), os.environ.get("PYTHONPATH"))))
    fetching = subprocess.Popen(
        (python, "-m", "headrace.local.install", "kafka"),
        env=os.environ | {"PYTHONPATH": path},
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield
        fetching.wait()
    finally:
        if fetching.poll() is None:
            fetching.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                fetching.wait(STOP_SECONDS)
            fetching.kill()
            fetching.wait()


def run(what: str, command: Sequence[str]) -> None:
    """Run to the end, saying every few seconds that it still runs."""
    began = time.monotonic()
    ended = threading.Event()

    def tell() -> None:
        while not ended.wait(HEARTBEAT_SECONDS):
            print(f"  {what}: {time.monotonic() - began:.0f} s so far", flush=True)

    telling = threading.Thread(target=tell, daemon=True)
    telling.start()
    try:
        done = subprocess.run(
            command, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
    except OSError as error:
        raise Failed(f"{what}: {error.strerror}") from None
    finally:
        ended.set()
        telling.join()
    if done.returncode:
        raise Failed(f"{what}: {meaning(done.stdout)}")
    print(f"  {what}: {time.monotonic() - began:.1f} s", flush=True)


def meaning(said: str) -> str:
    """Return the reason in what an installer printed."""
    if known := next((meant for words, meant in MEANINGS.items() if words in said), None):
        return known
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return next(
        (line for line in lines if re.match(r"(?i)error", line)), lines[-1] if lines else "it said nothing"
    )


if __name__ == "__main__":
    sys.exit(main())
