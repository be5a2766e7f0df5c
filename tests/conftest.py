import gc
import logging
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass

import asyncpg
import pytest
import structlog
from hypothesis import HealthCheck, settings

from tests import blocking
from tests.engines import Host, SessionEngines, Unavailable, s3_servers, start_early, url_of

pytest_plugins = ["tests.faults.recording", "pytest_headrace"]

HOST = pytest.StashKey[Host]()

# How long a draw takes says how busy the machine is, not whether the code is right.
settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")


def pytest_configure(config: pytest.Config) -> None:
    # As it comes, structlog draws each traceback in a frame, in colours: a tenth of what all tests compute.
    *others, _ = structlog.get_config()["processors"]
    plain = structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(processors=[*others, plain])
    if not hasattr(config, "workerinput"):
        config.stash[HOST] = Host()
        config.stash[HOST].start()


def pytest_unconfigure(config: pytest.Config) -> None:
    if HOST in config.stash:
        config.stash[HOST].close()


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Iterator[None]:
    """Modules and items last as long as the session: looking through them for garbage would find none, each time."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What the tests of a module share is made once, by the worker that runs them all.

    What takes long begins first, and what is single and short fills the gaps at the end.
    """
    for item in items:
        if item.get_closest_marker("xdist_group") is None and _shares(item):
            item.add_marker(pytest.mark.xdist_group(item.nodeid.partition("::")[0]))
    slow = {_group(item) for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: (_group(item) not in slow, _group(item) == item.nodeid))


def _shares(item: pytest.Item) -> bool:
    known = item._fixtureinfo.name2fixturedefs if isinstance(item, pytest.Function) else {}
    used = [found[-1] for found in known.values()]
    return any(fixture.baseid and fixture.scope in {"module", "class"} for fixture in used)


def _group(item: pytest.Item) -> str:
    marker = item.get_closest_marker("xdist_group")
    return str(marker.args[0]) if marker else item.nodeid


def pytest_collection_finish(session: pytest.Session) -> None:
    if not session.config.option.collectonly:
        start_early({name for item in session.items for name in getattr(item, "fixturenames", ())})


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What tests measured (`record_property("figures", text)`), whichever worker ran them."""
    for report in terminalreporter.getreports("passed") + terminalreporter.getreports("failed"):
        for name, text in report.user_properties:
            if name == "figures":
                terminalreporter.write_line(f"{report.nodeid}\n{text}\n")


@dataclass(frozen=True)
class S3Endpoint:
    server: str
    url: str


@pytest.fixture(scope="session")
def kafka_url() -> str:
    """`host:port` of the session's broker."""
    return url_of("kafka")


@pytest.fixture(scope="session")
def s3_url() -> str:
    """URL, with credentials, of the session's S3 server."""
    return url_of("s3")


@pytest.fixture(scope="session")
def postgres_url() -> str:
    """URL of the session's PostgreSQL; tables belong into a `database` of one's own."""
    return url_of("postgres")


@pytest.fixture(scope="session")
def engines(kafka_url: str, s3_url: str, postgres_url: str) -> SessionEngines:
    return SessionEngines(kafka=kafka_url, s3=s3_url, postgres=postgres_url)


@pytest.fixture(scope="session", params=s3_servers())
def s3_endpoint(request: pytest.FixtureRequest) -> S3Endpoint:
    """Each S3 server in turn: a test that takes it runs once on every one."""
    try:
        return S3Endpoint(server=request.param, url=url_of(request.param))
    except Unavailable as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def s3_endpoints() -> dict[str, str]:
    """All S3 servers that can be had here at once, URL by name."""
    found = {}
    for server in s3_servers():
        try:
            found[server] = url_of(server)
        except Unavailable:
            continue
    return found


@pytest.fixture
def fresh() -> Callable[[str], str]:
    """Names nobody else uses, good for topics, groups, buckets: `fresh("topic")`."""
    return lambda kind: f"{kind}-{uuid.uuid4().hex[:12]}"


@pytest.fixture(scope="session")
def blocking_calls() -> Iterator[list[str]]:
    """Those of this session, until somebody clears it."""
    with blocking.watched() as found:
        yield found


@pytest.fixture(autouse=True)
def nothing_of_ours_blocks_the_loop(blocking_calls: list[str]) -> Iterator[None]:
    """Such a call raises where it is made; a test fails also where somebody caught that."""
    blocking_calls.clear()
    yield
    assert not blocking_calls, "\n".join(blocking_calls[:3])


@pytest.fixture(autouse=True)
def structlog_as_it_was() -> Iterator[None]:
    """A command that a test runs in its own process configures logging for it; the next test has it as it was."""
    before = structlog.get_config()
    yield
    if structlog.get_config() != before:
        structlog.configure(**before)


@pytest.fixture
def restored_logs() -> Iterator[None]:
    """For a test that configures logging: afterwards every logger is as it was."""
    configuration, root = structlog.get_config(), logging.getLogger()
    named = [item for item in root.manager.loggerDict.values() if isinstance(item, logging.Logger)]
    kept = [(item, item.level, item.propagate, item.disabled, list(item.handlers)) for item in (root, *named)]
    yield
    for item, level, propagate, disabled, handlers in kept:
        item.setLevel(level)
        item.propagate, item.disabled, item.handlers[:] = propagate, disabled, handlers
    structlog.configure(**configuration)


@pytest.fixture
async def database(postgres_url: str, fresh: Callable[[str], str]) -> AsyncIterator[str]:
    """URL of an empty database, dropped at the end."""
    name = fresh("test").replace("-", "_")
    connection = await asyncpg.connect(postgres_url, timeout=60)
    try:
        # Files are copied in a third of the time that their pages take through the log.
        await connection.execute(f"CREATE DATABASE {name} STRATEGY FILE_COPY")
        yield f"{postgres_url.rpartition('/')[0]}/{name}"
        await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
    finally:
        await connection.close()
