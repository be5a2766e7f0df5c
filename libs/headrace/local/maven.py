"""Fetches the locked jars from a Maven repository, without Maven.

Run as a program, in a process of its own: `python -m headrace.local.maven DIRECTORY`. It resolves no dependencies:
`kafka-jars.txt` names every jar with its digest, and whatever has another digest is refused, wherever it came from.
"""

import hashlib
import os
import random
import re
import shutil
import sys
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit
from xml.etree import ElementTree as ET

from headrace.local.jars import Jar, locked_jars
from headrace.runtime.errors import ConfigurationError, Retryable

if TYPE_CHECKING:
    from jgo.maven import MavenContext

VARIABLE: Final = "HEADRACE_MAVEN_REPOSITORY"
# What Maven calls the repository that every project uses unless it says otherwise.
CENTRAL: Final = "central"

_AT_A_TIME: Final = 6
_ATTEMPTS: Final = 3
_BACKOFF_SECONDS: Final = 1.0
_SILENT_SECONDS: Final = 30
_ALL_OF_THEM: Final = frozenset({"*", "external:*"})


def chosen_repository() -> str | None:
    """Return the URL that the user chose instead of Maven Central, by variable or as a mirror in Maven's settings."""
    if given := os.environ.get(VARIABLE):
        return given.rstrip("/")
    settings = Path.home() / ".m2" / "settings.xml"
    return mirror_of_central(settings) if settings.exists() else None


def mirror_of_central(settings: Path) -> str | None:
    """Return the URL of the mirror that Maven itself would use for Maven Central; None if the file has none."""
    try:
        root = ET.parse(settings).getroot()  # noqa: S314 -- the user's own file
    except ET.ParseError as error:
        raise ConfigurationError(f"{settings} is not XML ({error})") from None
    mirrors = [
        (
            {name.strip() for name in mirror.findtext("{*}mirrorOf", "").split(",")},
            mirror.findtext("{*}url", ""),
        )
        for mirror in root.iterfind("{*}mirrors/{*}mirror")
    ]
    # One that names the repository comes before one that takes all.
    by_name = (url for names, url in mirrors if names == {CENTRAL})
    by_pattern = (
        url for names, url in mirrors if names & {CENTRAL, *_ALL_OF_THEM} and f"!{CENTRAL}" not in names
    )
    url = next(by_name, None) or next(by_pattern, None)
    return _with_environment(url).strip().rstrip("/") if url else None


def fetch(jars: Iterable[Jar], directory: Path) -> None:
    """Store every jar in the directory. Raises ConfigurationError that names the first that cannot be had."""
    from jgo.maven import MavenContext

    directory.mkdir(exist_ok=True)
    chosen = chosen_repository()
    context = MavenContext(
        repo_cache=directory / "repository",
        remote_repos={CENTRAL: chosen} if chosen else None,
        timeout=_SILENT_SECONDS,
    )
    pool = ThreadPoolExecutor(_AT_A_TIME)
    try:
        for fetching in [pool.submit(_fetched, context, jar, directory) for jar in jars]:
            fetching.result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
    shutil.rmtree(context.repo_cache)


def _fetched(context: "MavenContext", jar: Jar, directory: Path) -> None:
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            _fetch(context, jar).rename(directory / jar.file)
            return
        except Retryable as error:
            if attempt == _ATTEMPTS:
                raise ConfigurationError(str(error)) from None
        time.sleep(random.uniform(0, _BACKOFF_SECONDS * attempt))  # noqa: S311 -- jitter


def _fetch(context: "MavenContext", jar: Jar) -> Path:
    """Return the downloaded file. An error's text has no password, which a URL may have."""
    import requests

    where = _without_password(context.remote_repos[CENTRAL])
    artifact = context.project(jar.group, jar.artifact).at_version(jar.version).artifact()
    # What an attempt that broke off has left.
    context.repo_cache.joinpath(artifact.component.path_prefix, artifact.filename).unlink(missing_ok=True)
    try:
        path = Path(artifact.resolve())
    except requests.RequestException as error:
        raise Retryable(f"{where} cannot be reached ({type(error).__name__})") from None
    except RuntimeError:
        raise Retryable(f"{where} does not give {jar.file}") from None
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if digest != jar.sha256:
        raise Retryable(f"{where} gives a {jar.file} of SHA-256 {digest}, expected {jar.sha256}")
    return path


def _with_environment(url: str) -> str:
    """Replace `${env.NAME}`, as Maven does."""
    return re.sub(r"\$\{env\.(\w+)\}", lambda name: os.environ.get(name[1], name[0]), url)


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def main() -> None:
    """Fetch into the directory that is given; on failure print one line."""
    try:
        fetch(locked_jars(), Path(sys.argv[1]))
    except ConfigurationError as error:
        print(error, flush=True)  # noqa: T201 -- whoever started us shows it
    except OSError as error:
        print(f"{error.filename}: {error.strerror}", flush=True)  # noqa: T201
    else:
        return
    # At once, whatever the other downloads do.
    os._exit(1)


if __name__ == "__main__":
    main()
