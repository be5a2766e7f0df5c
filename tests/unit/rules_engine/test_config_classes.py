"""Classes of one's own: found, made and called, or refused in one line."""

import asyncio
import importlib.util
import sys
import threading
from types import SimpleNamespace
from typing import Any

import pytest
import structlog

from headrace.runtime.errors import ConfigurationError, Rejected
from headrace.runtime.settings import ProcessSettings
from headrace_services.rules_engine.config_yaml import classes, logs
from headrace_services.rules_engine.config_yaml.adapters import (
    EVENTS,
    OwnDownloader,
    OwnPublisher,
    OwnThread,
    OwnWatchers,
)
from headrace_services.rules_engine.config_yaml.plan import OwnClass

MODULE = """
class Publisher:
    def __init__(self, topic, compression=None): self.given = (topic, compression)
    def publish(self, input_msg, response): pass
    @classmethod
    def of(cls, topic): return cls(topic)

class Exits:
    def __init__(self): raise SystemExit("bye")

class Raises:
    def __init__(self): raise ValueError("two\\nlines")

class Silent: pass

VALUE = 3
"""


@pytest.fixture(autouse=True)
def nothing_imported(monkeypatch):
    """Another test may have imported base classes, which would be found without a search."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "insights_messaging"]:
        monkeypatch.delitem(sys.modules, name)


@pytest.fixture
def module(tmp_path, monkeypatch, fresh):
    """A module of one's own in the working directory; `<name>_faulty` beside it cannot be imported."""
    name = fresh("own").replace("-", "_")
    (tmp_path / f"{name}.py").write_text(MODULE, encoding="utf-8")
    (tmp_path / f"{name}_faulty.py").write_text("import no_such_library_here\n", encoding="utf-8")
    (tmp_path / f"{name}_exits.py").write_text("raise SystemExit(3)\n", encoding="utf-8")
    monkeypatch.setattr(sys, "path", list(sys.path))
    classes.make_importable(tmp_path)
    return name


def test_a_class_is_made_with_what_the_document_gives_it(module):
    own = OwnClass("service.publisher", f"{module}.Publisher", ("t",), {"compression": True})
    assert classes.build(own, "publish").given == ("t", True)


def test_a_method_that_makes_one_will_do(module):
    own = OwnClass("service.publisher", f"{module}.Publisher.of", ("t",))
    assert classes.build(own, "publish").given == ("t", None)


@pytest.mark.parametrize(
    ("name", "kwargs", "line"),
    [
        (
            "nowhere.Publisher",
            {},
            "service.publisher.name: got 'nowhere.Publisher', but there is no module nowhere",
        ),
        ("json.nowhere.Publisher", {}, "json has no nowhere; expected one of"),
        (
            "{}_faulty.Publisher",
            {},
            "cannot be imported: ModuleNotFoundError: No module named 'no_such_library_here'",
        ),
        (
            "{}_faulty.deep.Publisher",
            {},
            "cannot be imported: ModuleNotFoundError: No module named 'no_such_lib",
        ),
        ("{}_exits.Publisher", {}, "cannot be imported: SystemExit: 3"),
        ("{}.Publishr", {}, "has no Publishr; did you mean 'Publisher'?"),
        ("{}.VALUE", {}, ".VALUE', a int, expected a class"),
        (
            "{}.Publisher",
            {},
            "service.publisher.kwargs: {}.Publisher does not accept them: missing a required arg",
        ),
        (
            "{}.Publisher",
            {"topic": "a", "b": 1},
            "does not accept them: got an unexpected keyword argument 'b'",
        ),
        ("{}.Exits", {}, "service.publisher: {}.Exits cannot be made: SystemExit: bye"),
        ("{}.Raises", {}, "service.publisher: {}.Raises cannot be made: ValueError: two lines"),
        ("{}.Silent", {}, ".Silent', which has no method publish"),
    ],
)
def test_what_cannot_be_made_is_told_in_one_line(module, name, kwargs, line):
    with pytest.raises(ConfigurationError) as caught:
        classes.build(OwnClass("service.publisher", name.format(module), (), kwargs), "publish")
    assert line.format(module) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_frameworks_base_classes_are_there_without_the_framework(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    classes.make_importable(tmp_path)
    assert sys.path[-1] == str(classes.BASES)
    assert importlib.util.find_spec("insights_messaging").origin.startswith(str(classes.BASES))


def test_an_installed_framework_goes_before_ours(tmp_path, monkeypatch):
    installed = tmp_path / "site-packages"
    (installed / "insights_messaging").mkdir(parents=True)
    (installed / "insights_messaging" / "__init__.py").write_text("", encoding="utf-8")
    monkeypatch.setattr(sys, "path", [*sys.path, str(installed)])
    classes.make_importable(tmp_path)
    assert str(classes.BASES) not in sys.path


@pytest.fixture
async def thread():
    thread = OwnThread()
    yield thread
    await thread.close()


async def test_a_publisher_works_off_the_loop_and_its_errors_are_the_messages(thread):
    seen = []

    def publish(message, response):
        seen.append((message, response, threading.current_thread().name))
        if response is None:
            raise SystemExit(4)

    def error(message, failure):
        raise RuntimeError("cannot even tell")

    publisher = OwnPublisher(SimpleNamespace(publish=publish, error=error), thread)
    await publisher.publish({"a": 1}, "{}")
    with pytest.raises(RuntimeError, match="tried to exit the process with 4"):
        await publisher.publish({"a": 2}, None)
    await publisher.error({"a": 2}, KeyError())
    assert [response for _, response, _ in seen] == ["{}", None]
    assert all(name.startswith("own-classes") for _, _, name in seen)


async def test_a_call_that_hangs_holds_up_neither_the_loop_nor_the_end(thread):
    forever = threading.Event()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await thread.call(forever.wait)
    # What waits behind it is not begun once nobody wants it.
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await thread.call(sys.exit)
    (held,) = [item for item in threading.enumerate() if item is thread._thread]
    assert held.daemon
    forever.set()
    assert await thread.call(lambda: 3) == 3


class Files:
    def __init__(self, path):
        self.path, self.left = path, False

    def get(self, source):
        return self

    def __enter__(self):
        return self.path

    def __exit__(self, *_):
        self.left = True


async def test_a_downloaders_file_is_read_and_bounded(thread, tmp_path):
    path = tmp_path / "archive"
    path.write_bytes(b"12345")
    files = Files(path)
    assert await OwnDownloader(files, thread).fetch("s3://x", 5) == b"12345"
    assert files.left
    with pytest.raises(Rejected, match="more than 4 bytes"):
        await OwnDownloader(Files(path), thread).fetch("s3://x", 4)


async def test_a_failing_watcher_keeps_nobody_from_being_told(thread):
    told = []

    def failing(*args):
        raise ValueError("no")

    watchers = OwnWatchers(
        [SimpleNamespace(on_recv=failing), SimpleNamespace(on_recv=told.append)], thread, None
    )
    await watchers.fire("on_recv", "m")
    await watchers.fire("on_process", "m", "r")
    assert told == ["m"]
    assert "on_recv" in EVENTS


@pytest.mark.parametrize(
    ("config", "line"),
    [
        ({"handlers": {"a": {"class": "no.Such"}}}, "service.logging: Unable to configure handler 'a'"),
        ({"version": 2}, "service.logging: Unsupported version: 2"),
        (
            {"root": {"level": "LOUD"}},
            "service.logging: Unable to configure root logger: Unknown level: 'LOUD'",
        ),
    ],
)
def test_a_log_that_cannot_be_configured_is_told(restored_logs, config, line):
    plan: Any = SimpleNamespace(logging=config, logging_configurator=None)
    with pytest.raises(ConfigurationError) as caught:
        logs.configure_logs(plan, ProcessSettings())
    assert line in str(caught.value)


def test_our_lines_follow_the_configured_format(restored_logs, tmp_path):
    path = tmp_path / "log"
    config = {
        "disable_existing_loggers": False,
        "handlers": {"a": {"class": "logging.FileHandler", "filename": str(path), "formatter": "f"}},
        "formatters": {"f": {"format": "%(name)s|%(levelname)s|%(message)s"}},
        "loggers": {"ccx_messaging": {"level": "INFO", "handlers": ["a"], "propagate": False}},
    }
    plan: Any = SimpleNamespace(logging=config, logging_configurator=None)
    logs.configure_logs(plan, ProcessSettings())
    logger = structlog.get_logger(module="x")
    logger.info("message rejected", reason="100% X-Amz-Signature=abc")
    logger.debug("not wanted")
    assert path.read_text() == "ccx_messaging|INFO|message rejected reason=100% X-Amz-Signature=***\n"
