"""The container images: the application, the segment bridge's of its document, and a stand-in for every engine.

    python deploy/images.py app [--base IMAGE]          the application, on a public Python image
    python deploy/images.py all-in-one [--base IMAGE]   application, engines and the whole command in one image
    python deploy/images.py all                         everything on a Debian made here, where no image can be pulled

The engine is podman, or what CONTAINER_ENGINE names. No image build needs the network: wheels, jars, MinIO and
Debian come from their registries beforehand, and what is big stays in ~/.cache/headrace (HEADRACE_CACHE).
"""

import argparse
import asyncio
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from pins import PINNED, pinned

from headrace.local import install
from headrace.runtime.errors import HeadraceError

ROOT = Path(__file__).resolve().parents[1]
ENGINE = os.environ.get("CONTAINER_ENGINE", "podman")
APPLICATION = os.environ.get("HEADRACE_IMAGE", "localhost/headrace:latest")
ALL_IN_ONE = "localhost/headrace/all-in-one:latest"
# As its document names it.
SEGMENT_BRIDGE = "localhost/segment-bridge:latest"
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"

SUITE = "bookworm"
# Without one debootstrap has its own.
MIRROR = os.environ.get("DEBIAN_MIRROR", "").split()
# Trees of Debian by the image they become, with the packages that go beyond the smallest.
TREES = {
    "python": ("ca-certificates", "curl", "python3"),
    "engines": ("ca-certificates", "curl", "openjdk-17-jre-headless", "postgresql"),
}
STAND_INS = ("kafka", "minio", "postgres", "seaweedfs")


def main() -> int:
    parser = argparse.ArgumentParser(description="Make the container images.")
    parser.add_argument("what", choices=("app", "all-in-one", "all"))
    parser.add_argument("--base", default=pinned(f"docker.io/library/python:{PYTHON}-slim-{SUITE}"))
    parser.add_argument(
        "--release", action="store_true", help="refuse a base that is not named by its digest"
    )
    given = parser.parse_args()
    if given.release and not (given.what != "all" and PINNED.fullmatch(given.base)):
        parser.error(
            f"--release: got {given.base}, expected name:tag@sha256:<64 hex digits> (deploy/images.lock)"
        )
    try:
        if given.what == "app":
            application(given.base)
        elif given.what == "all-in-one":
            all_in_one(given.base)
        else:
            application(debian("python"))
            stand_ins(debian("engines"))
            name_in_environment_file()
    except (HeadraceError, subprocess.CalledProcessError, FileNotFoundError) as error:
        print(f"images: {error}", file=sys.stderr)
        return 1
    return 0


def application(base: str) -> None:
    """The services, in a context for deploy/Containerfile."""
    with tempfile.TemporaryDirectory(prefix="headrace-image-") as name:
        context = Path(name)
        wheels(context, ROOT / "locks" / "runtime.txt")
        for image, target in ((APPLICATION, "application"), (SEGMENT_BRIDGE, "segment-bridge")):
            build(image, context, ROOT / "deploy" / "Containerfile", base=base, target=target)


def all_in_one(base: str) -> None:
    """The services with the command's other half, the engines of the local shape, Java and Kafka's jars."""
    with tempfile.TemporaryDirectory(prefix="headrace-image-") as name:
        context = Path(name)
        wheels(context, ROOT / "locks" / "run.txt", install.JAVA_LOCK)
        jars = asyncio.run(install.kafka_jars(tell))
        shutil.copytree(jars, context / "cache" / jars.name)
        build(ALL_IN_ONE, context, ROOT / "deploy" / "all-in-one" / "Containerfile", base=base)


def wheels(context: Path, *locks: Path) -> None:
    """Every wheel of the hash that is pinned, pip's, and our own."""
    tell(f"wheels for Python {PYTHON}, which is what the base has to have")
    download = ("download", "--quiet", "--no-deps", "--only-binary=:all:", "-d")
    for lock in locks:
        pip(*download, context / "wheels", "--require-hashes", "-r", shutil.copy(lock, context))
    pip(*download, context, "--require-hashes", "-r", ROOT / "locks" / "pip.txt")
    pip("wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", context, ROOT)


def stand_ins(base: str) -> None:
    """Kafka's jars, MinIO with its client and SeaweedFS as the local shape has them; PostgreSQL is Debian's."""
    cache = install.cache_directory()
    with tempfile.TemporaryDirectory(prefix="images-", dir=cache) as name:
        context = Path(name)
        shutil.copytree(asyncio.run(install.kafka_jars(tell)), context / "kafka")
        shutil.copy(asyncio.run(install.minio(tell)), context / "minio")
        shutil.copy(asyncio.run(install.minio_client(tell)), context / "mc")
        shutil.copy(install.seaweedfs(), context / "weed")
        shutil.copy(ROOT / "deploy" / "stand-ins" / "postgres-entrypoint", context)
        for stand_in in STAND_INS:
            containerfile = ROOT / "deploy" / "stand-ins" / "Containerfile"
            build(stand_in_image(stand_in), context, containerfile, base=base, target=stand_in)


def debian(tree: str) -> str:
    """An image of Debian with these packages, imported unless it is there."""
    packages = ",".join(TREES[tree])
    tag = hashlib.sha256(f"{SUITE} {packages}".encode()).hexdigest()[:12]
    image = f"localhost/headrace/debian-{tree}:{SUITE}-{tag}"
    if subprocess.run((ENGINE, "image", "inspect", image), capture_output=True, check=False).returncode == 0:
        return image
    debs = install.cache_directory() / "debs"
    debs.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="debian-", dir=debs.parent) as directory:
        tell(f"Debian {SUITE} with {packages}: half a minute, longer at the first time")
        options = ("--variant=minbase", f"--cache-dir={debs}", f"--include={packages}", SUITE)
        run("debootstrap", *options, directory, *MIRROR, quiet=True)
        # What was downloaded is no part of the system.
        left_out = ("--exclude=./var/cache/apt/archives/*.deb", "--exclude=./var/lib/apt/lists/*")
        archive = subprocess.Popen(("tar", "-C", directory, *left_out, "-c", "."), stdout=subprocess.PIPE)
        run(ENGINE, "import", "--quiet", "-", image, stdin=archive.stdout)
        if archive.wait():
            raise subprocess.CalledProcessError(archive.returncode, archive.args)
    return image


def build(image: str, context: Path, containerfile: Path, *, base: str, target: str = "") -> None:
    tell(f"image {image}")
    options = ("--quiet", "-t", image, "-f", containerfile, "--build-arg", f"BASE={base}")
    run(ENGINE, "build", *options, *(("--target", target) if target else ()), context)


def stand_in_image(name: str) -> str:
    return f"localhost/headrace/{name}:latest"


def name_in_environment_file() -> None:
    """Compose reads .env beside compose.yaml; a person's own lines stay."""
    path = ROOT / ".env"
    ours = {f"{name.upper()}_IMAGE": stand_in_image(name) for name in STAND_INS}
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    kept = [line for line in lines if line.partition("=")[0] not in ours]
    path.touch(mode=0o600)
    path.write_text(
        "\n".join([*kept, *(f"{name}={image}" for name, image in ours.items()), ""]), encoding="utf-8"
    )
    tell(f"compose takes the stand-ins from here on: {path} names them")


def pip(*arguments: object) -> None:
    run(sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments)


def run(*command: object, quiet: bool = False, stdin: object = None) -> None:
    words: Sequence[str] = [str(word) for word in command]
    subprocess.run(words, check=True, stdin=stdin, stdout=subprocess.DEVNULL if quiet else None)


def tell(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
