"""The `headrace` command in a process of its own that begins with everything imported.

Python and what the command imports take most of a second to start, many times as long as most commands take to work.
Here that is done once: a server forks for each command. Whether the command starts from nothing is for others to try.
"""

import asyncio
import multiprocessing
import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

_CONTEXT = multiprocessing.get_context("forkserver")
_PRELOADED = ["services.__main__", "services.segment_bridge.stages", "services.rules_engine.run"]


async def headrace(
    *arguments: str, given: bytes, environment: Mapping[str, str], directory: Path
) -> tuple[int | None, bytes, bytes]:
    """Exit code, stdout and stderr."""
    _CONTEXT.set_forkserver_preload(_PRELOADED)
    with tempfile.TemporaryDirectory(prefix="headrace-forked-") as name:
        streams = [Path(name, stream) for stream in ("in", "out", "err")]
        streams[0].write_bytes(given)
        terms = (arguments, dict(environment), str(directory), [str(stream) for stream in streams])
        process = _CONTEXT.Process(target=_run, args=terms)
        process.start()
        try:
            await asyncio.to_thread(process.join, 280)
            return process.exitcode, streams[1].read_bytes(), streams[2].read_bytes()
        finally:
            process.kill()
            process.join()
            process.close()


def _run(arguments: tuple[str, ...], environment: dict[str, str], directory: str, streams: list[str]) -> None:
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(directory)
    for number, (path, flags) in enumerate(
        zip(streams, (os.O_RDONLY, *[os.O_WRONLY | os.O_CREAT] * 2), strict=True)
    ):
        opened = os.open(path, flags, 0o600)
        os.dup2(opened, number)
        os.close(opened)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 -- as long as the process
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    # Of the directory too there may be modules, as for `python -m services`.
    sys.path.insert(0, directory)
    sys.argv = ["headrace", *arguments]
    from services.__main__ import main

    main()
