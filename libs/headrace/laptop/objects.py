"""`objects`: lists and copies objects of the stack's S3, with the commands of MinIO's client.

A place is ``ALIAS/bucket/key``; every alias means the stack's S3.
"""

import asyncio
import mimetypes
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from headrace.cli.dead_letters import engines
from headrace.cli.output import Output
from headrace.objects.endpoint import S3Endpoint
from headrace.objects.errors import ObjectNotFound
from headrace.objects.store import OCTETS, ObjectStore
from headrace.objects.streaming import store_stream
from headrace.runtime.errors import ConfigurationError

_PIECE_BYTES: Final = 1 << 20
_UNITS: Final = ("B", "KiB", "MiB", "GiB", "TiB")


@dataclass(frozen=True)
class Place:
    """A bucket and a key, or a prefix of keys."""

    bucket: str
    key: str

    @classmethod
    def parse(cls, text: str) -> "Place":
        """Parse ``ALIAS/bucket[/key]``; raises `ConfigurationError` for anything else."""
        _, _, path = text.strip("/").partition("/")
        bucket, _, key = path.partition("/")
        if not bucket:
            raise ConfigurationError(
                f"got {text!r}, expected ALIAS/bucket/key, such as local/ros-data/file.csv"
            )
        return cls(bucket, f"{key}/" if key and text.endswith("/") else key)

    @property
    def is_whole(self) -> bool:
        """Whether the place names one object."""
        return bool(self.key) and not self.key.endswith("/")


async def show(directory: Path, place: str, *, recursive: bool) -> None:
    """List what begins with a place: one level, or everything below it."""
    where = Place.parse(place)
    output = Output()
    async with _opened(directory) as store:
        if not await store.has_bucket(where.bucket):
            raise ConfigurationError(f"bucket {where.bucket} does not exist")
        below = where.key.rpartition("/")[0]
        cut = len(below) + 1 if below else 0
        folders: set[str] = set()
        async for item in store.list(where.bucket, where.key):
            folder, is_deeper, _ = item.key[cut:].partition("/")
            changed = f"{item.modified:%Y-%m-%d %H:%M:%S UTC}" if item.modified else ""
            if recursive or not is_deeper:
                output.line(f"[{changed}] {_size(item.size):>8} STANDARD {item.key[cut:]}")
            elif folder not in folders:
                folders.add(folder)
                output.line(f"[{changed}] {_size(0):>8} {folder}/")


async def copy(directory: Path, source: str, target: str) -> None:
    """Copy a file into S3, or an object out of it. A source that exists as a file is a file."""
    if _is_file(Path(source)):
        await _upload(directory, Path(source), Place.parse(target))
    else:
        await _download(directory, Place.parse(source), Path(target))
    Output(sys.stderr).line(f"{source} -> {target}")


async def show_content(directory: Path, place: str) -> None:
    """Write an object to stdout."""
    where = _whole(place)
    async with _opened(directory) as store:
        await _fetch(store, where, sys.stdout.buffer)


async def remove(directory: Path, place: str) -> None:
    """Remove one object; a missing object is an error."""
    where = _whole(place)
    async with _opened(directory) as store:
        if await store.head(where.bucket, where.key) is None:
            raise ConfigurationError(f"object {where.bucket}/{where.key} does not exist")
        await store.delete(where.bucket, where.key)
    Output().line(f"removed {place}")


@asynccontextmanager
async def _opened(directory: Path) -> AsyncIterator[ObjectStore]:
    settings = await asyncio.to_thread(engines, directory, "s3")
    store = await ObjectStore.open(S3Endpoint.of(settings))
    try:
        yield store
    finally:
        await store.close()


def _whole(text: str) -> Place:
    place = Place.parse(text)
    if not place.is_whole:
        raise ConfigurationError(f"got {text!r}, expected an object: ALIAS/bucket/key")
    return place


async def _upload(directory: Path, source: Path, target: Place) -> None:
    key = target.key if target.is_whole else f"{target.key}{source.name}"
    content_type = mimetypes.guess_type(key)[0] or OCTETS
    async with _opened(directory) as store:
        if not await store.has_bucket(target.bucket):
            raise ConfigurationError(f"bucket {target.bucket} does not exist")
        with source.open("rb") as file:
            await store_stream(_pieces(file), store, target.bucket, key, content_type=content_type)


async def _download(directory: Path, source: Place, target: Path) -> None:
    if not source.is_whole:
        raise ConfigurationError(f"{source.bucket}/{source.key} is neither a file nor an object")
    path = _file_in(target, source.key.rpartition("/")[2])
    async with _opened(directory) as store:
        if await store.head(source.bucket, source.key) is None:
            raise ConfigurationError(f"{source.bucket}/{source.key} is neither a file nor an object")
        with path.open("wb") as file:
            await _fetch(store, source, file)


def _is_file(path: Path) -> bool:
    if path.is_dir():
        raise ConfigurationError(f"{path} is a directory; only files can be copied")
    return path.exists()


def _file_in(target: Path, name: str) -> Path:
    return target / name if target.is_dir() else target


async def _fetch(store: ObjectStore, where: Place, file: IO[bytes]) -> None:
    try:
        async with store.get(where.bucket, where.key) as chunks:
            async for chunk in chunks:
                await asyncio.to_thread(file.write, chunk)
    except ObjectNotFound:
        raise ConfigurationError(f"object {where.bucket}/{where.key} does not exist") from None
    file.flush()


async def _pieces(file: IO[bytes]) -> AsyncIterator[bytes]:
    while piece := await asyncio.to_thread(file.read, _PIECE_BYTES):
        yield piece


def _size(size_bytes: int) -> str:
    value, unit = float(size_bytes), _UNITS[0]
    for unit in _UNITS:
        if value < 1024 or unit == _UNITS[-1]:
            break
        value /= 1024
    return f"{value:.0f}{unit}" if value >= 10 or unit == "B" else f"{value:.1f}{unit}"
