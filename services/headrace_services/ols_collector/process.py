"""A process that only collects.

A sidecar has little memory. The modules for the command line and the settings take about 20 MB that collecting does not
need, so the command replaces itself: same process id, same environment, with the plan through a pipe.
"""

import asyncio
import logging
import os
import signal
import sys
from dataclasses import asdict
from typing import Final, NoReturn

import orjson

from headrace_services.ols_collector.collector import Collector
from headrace_services.ols_collector.plan import Plan

LOG_FORMAT: Final = "[%(asctime)s] %(levelname)s: %(message)s"
_STOP_SHARE: Final = 0.9


def become(plan: Plan) -> NoReturn:
    """Replace this process. The plan contains secrets, so no argument and no variable contains it."""
    reading, writing = os.pipe()
    os.set_inheritable(reading, True)
    os.write(writing, orjson.dumps(asdict(plan)))
    os.close(writing)
    sys.stdout.flush()
    # Without the working directory in the path, which may have a package of that name.
    arguments = [sys.executable, "-P", "-m", "headrace_services.ols_collector.process", str(reading)]
    os.execv(sys.executable, arguments)  # noqa: S606 -- ourselves


async def collect(plan: Plan) -> int:
    """Collect until the end or a signal; return the exit code. SIGTERM stops in order, Ctrl-C at once."""
    collector = Collector(plan)
    loop = asyncio.get_running_loop()
    work = asyncio.create_task(collector.run())
    ending: list[asyncio.Task[None]] = []

    def end() -> None:
        if not ending:
            ending.append(asyncio.create_task(collector.stop(plan.stop_seconds * _STOP_SHARE)))

    loop.add_signal_handler(signal.SIGTERM, end)
    loop.add_signal_handler(signal.SIGINT, work.cancel)
    try:
        await work
    except asyncio.CancelledError:
        return 0 if ending else 130
    if plan.collection_interval or ending:
        return 0
    return 1 if collector.status.problem or collector.status.waiting_for else 0


def configure_logs(level: str) -> None:
    """Log to stdout in the document's format; libraries from WARNING on, because their lines may contain secrets."""
    logging.basicConfig(stream=sys.stdout, format=LOG_FORMAT, level=logging.WARNING)
    logging.getLogger("ols_collector").setLevel(level)


def main() -> None:
    """Read the plan from the descriptor that the only argument names."""
    with os.fdopen(int(sys.argv[1]), "rb") as opened:
        fields = orjson.loads(opened.read())
    lists = {name: tuple(fields[name]) for name in ("allowed_subdirs", "disabled_kinds")}
    plan = Plan(**fields | lists)
    configure_logs(plan.log_level)
    raise SystemExit(asyncio.run(collect(plan)))


if __name__ == "__main__":
    main()
