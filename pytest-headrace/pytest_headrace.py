"""The fixture `headrace`: a real ingress with everything behind it, for the tests of a sender.

pytest loads this module for everyone who has installed it, so it imports nothing that a test run without the fixture
does not need.
"""

import os
import sys
import tempfile
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from headrace.testing import Headrace, Session

FIXTURE: Final = "headrace"
# A running stack to use instead of one's own: its directory, or a file with what `headrace urls --json` printed.
STACK: Final = "HEADRACE_STACK"
# What this run's processes share: the process that ends it, and a directory that is made on first need.
RUN: Final = "HEADRACE_PYTEST_RUN"
_SHOWN_PAYLOADS: Final = 5

_owned = pytest.StashKey[bool]()


def pytest_configure(config: pytest.Config) -> None:
    """Name what the run shares; workers of pytest-xdist, and runs within it, find it in their environment."""
    if RUN not in os.environ:
        name = f"pytest-headrace-{os.urandom(8).hex()}"
        os.environ[RUN] = f"{os.getpid()} {tempfile.gettempdir()}/{name}"
        config.stash[_owned] = True


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop the stack that the run has started."""
    if config.stash.get(_owned, False):
        if Path(os.environ[RUN].partition(" ")[2]).exists():
            _session().close()
        del os.environ[RUN]


@pytest.fixture(scope="session")
def headrace() -> "Headrace":
    """Give a stack with every engine and service, started once for the whole run, or the one in `HEADRACE_STACK`."""
    from headrace.runtime.errors import HeadraceError
    from headrace.testing import Headrace, Places
    from headrace_services.registry import SERVICES

    session = _session()
    try:
        given = os.environ.get(STACK)
        return Headrace(Places.at(Path(given) if given else session.stack()), SERVICES, session)
    except HeadraceError as error:
        reason = str(error)
    return pytest.fail(f"the fixture headrace has no stack: {reason}", pytrace=False)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Let a test that stops an engine be alone with the stack."""
    if FIXTURE not in getattr(item, "fixturenames", ()):
        return (yield)
    with _session().turn():
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[Any]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show with a failed test what became of its payloads."""
    report = yield
    used = getattr(item, "funcargs", {}).get(FIXTURE)
    if used is not None and call.when == "call":
        if report.failed and (text := _told(used)):
            report.sections.append(("payloads of this test", text))
        used.aio.payloads.clear()
    return report


def _told(used: "Headrace") -> str:
    from headrace.runtime.errors import HeadraceError
    from headrace.testing.waiting import run_now

    texts = []
    for payload in used.aio.payloads[-_SHOWN_PAYLOADS:]:
        try:
            texts.append(run_now(payload.told(f"of the service {payload.service}:")))
        except HeadraceError as error:
            texts.append(f"payload {payload.request_id}: its statuses cannot be read: {error}")
    return "\n".join(texts)


_sessions: "dict[str, Session]" = {}


def _session() -> "Session":
    run = os.environ[RUN]
    if run not in _sessions:
        from headrace.testing import Session

        owner, _, directory = run.partition(" ")
        _sessions[run] = Session(Path(directory), int(owner), (sys.executable, "-m", "headrace_services"))
    return _sessions[run]
