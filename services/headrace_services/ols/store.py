"""Files for the collector, each either complete or absent: a temporary name beside it, fsync, rename.

The collector takes only ``*.json``, and removes empty directories.
"""

import asyncio
import hashlib
import os
import posixpath
import time
import uuid
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import orjson

from headrace.runtime.logging import get_logger
from headrace_services.ols import metrics
from headrace_services.ols.olsconfig import UserDataCollection

_log = get_logger(__name__)

_TEMPORARY: Final = ".tmp"
# The longest name in bytes, with room for a digest below the limit of file systems.
_MAX_NAME_BYTES: Final = 200
# The collector may delete a directory between its creation and its use.
_ATTEMPTS: Final = 10_000
# No write takes this long; an older temporary file was left by a process that was killed.
_LEFT_SECONDS: Final = 3600.0


class UserData:
    """Writes the enabled kinds of data."""

    def __init__(self, settings: UserDataCollection) -> None:
        self._settings = settings

    @property
    def keeps_feedback(self) -> bool:
        """Whether feedback is enabled."""
        return self._settings.feedback is not None

    async def feedback(self, record: Mapping[str, Any]) -> None:
        """Store one feedback; raises `OSError`."""
        if self._settings.feedback:
            await _write("feedback", self._settings.feedback, orjson.dumps(record))

    async def transcript(self, record: Mapping[str, Any]) -> None:
        """Store one transcript; a failure is only logged, because the answer must not be lost."""
        root = self._settings.transcripts
        if not root:
            return
        metadata = record["metadata"]
        directory = root / safe_name(metadata["user_id"]) / safe_name(metadata["conversation_id"])
        await _write_or_warn("transcripts", directory, orjson.dumps(record))

    async def configuration(self, record: Mapping[str, Any]) -> None:
        """Store the configuration."""
        if self._settings.config:
            data = orjson.dumps(record, option=orjson.OPT_INDENT_2)
            await _write_or_warn("config", self._settings.config, data)

    async def status(self, record: Mapping[str, Any]) -> None:
        """Store the features in use."""
        if self._settings.config_status:
            await _write_or_warn("config_status", self._settings.config_status, orjson.dumps(record))

    def warn_of_strays(self) -> None:
        """Warn about directories that one collector would not find together."""
        kept = self._settings.kept
        if len({path.parent for path in kept.values()}) > 1 or any(
            path.name != name for name, path in kept.items()
        ):
            _log.warning(
                "user_data_not_together",
                expected="storages named feedback, transcripts and config, below one directory",
                storages=[str(path) for path in kept.values()],
            )

    async def sweep(self) -> int:
        """Delete the temporary files of killed processes; return their number."""
        roots = {*self._settings.kept.values(), self._settings.config_status}
        return await asyncio.to_thread(_sweep, [root for root in roots if root])


def safe_name(text: str) -> str:
    """Return one safe file name for an untrusted id: never a path, never empty.

    As upstream, ``..`` cannot climb; remaining slashes would be deeper than the collector looks.
    """
    name = posixpath.normpath("/" + text).lstrip("/")
    name = "".join("_" if character in "/\0" else character for character in name) or "_"
    encoded = name.encode(errors="replace")
    if len(encoded) <= _MAX_NAME_BYTES:
        return encoded.decode()
    digest = hashlib.sha256(encoded).hexdigest()[:32]
    return f"{encoded[:_MAX_NAME_BYTES].decode(errors='ignore')}~{digest}"


async def _write(kind: str, directory: Path, data: bytes) -> None:
    try:
        await asyncio.to_thread(write_file, directory, data)
    except (OSError, ValueError):
        metrics.USER_DATA.labels(kind, "failed").inc()
        raise
    metrics.USER_DATA.labels(kind, "stored").inc()


async def _write_or_warn(kind: str, directory: Path, data: bytes) -> None:
    try:
        await _write(kind, directory, data)
    except (OSError, ValueError) as error:
        _log.warning("user_data_not_stored", kind=kind, reason=reason_of(error))


def reason_of(error: Exception) -> str:
    """Return the reason of an error without the path, which contains a user's id."""
    if isinstance(error, OSError) and error.strerror:
        return f"[Errno {error.errno}] {error.strerror}"
    return type(error).__name__


def write_file(directory: Path, data: bytes) -> Path:
    """Write a new ``<uuid4>.json`` into the directory, which is created if it is missing. This call blocks."""
    name = str(uuid.uuid4())
    final, temporary = directory / f"{name}.json", directory / f".{name}{_TEMPORARY}"
    descriptor = _create(temporary)
    try:
        try:
            _write_all(descriptor, data)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        temporary.rename(final)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_directory(directory)
    return final


def _create(path: Path) -> int:
    for _ in range(_ATTEMPTS):
        try:
            return _open(path)
        except FileNotFoundError:
            # Whether this fails or not, the next attempt to open the file shows it.
            with suppress(FileNotFoundError, FileExistsError):
                path.parent.mkdir(parents=True, exist_ok=True)
    return _open(path)


def _open(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644)


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _sync_directory(directory: Path) -> None:
    """Make the file's name durable. The collector may already have sent the file and deleted the directory."""
    try:
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sweep(roots: list[Path]) -> int:
    swept, before = 0, time.time() - _LEFT_SECONDS
    for root in roots:
        for path in root.rglob(f".*{_TEMPORARY}"):
            try:
                if path.lstat().st_mtime < before:
                    path.unlink()
                    swept += 1
            except OSError as error:
                _log.debug("not_swept", reason=reason_of(error))
    return swept
