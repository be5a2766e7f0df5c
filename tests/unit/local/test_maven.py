"""Kafka's jars without Maven: from which repository they come, and what is accepted."""

import gc
import hashlib
import threading
from http.server import HTTPServer, SimpleHTTPRequestHandler

import pytest

from headrace.local import install, maven
from headrace.local.jars import Jar
from headrace.runtime.errors import ConfigurationError
from tests.disks import small_disk

# jgo leaves the connection of a refusal to the collector of garbage; it works in a process of its own.
pytestmark = pytest.mark.filterwarnings(
    "ignore:Exception ignored in. <socket.socket:pytest.PytestUnraisableExceptionWarning"
)

SETTINGS = """\
<settings xmlns="http://maven.apache.org/SETTINGS/1.2.0">
  <mirrors>{}</mirrors>
</settings>
"""
MIRROR = "<mirror><id>m</id><mirrorOf>{}</mirrorOf><url>{}</url></mirror>"


def mirrors(*rows):
    return SETTINGS.format("".join(MIRROR.format(of, url) for of, url in rows))


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (mirrors(("central", "http://one/")), "http://one"),
        (mirrors(("*", "http://all")), "http://all"),
        (mirrors(("external:*", "http://all")), "http://all"),
        (mirrors(("other, central", "http://list")), "http://list"),
        (mirrors(("*,!central", "http://not")), None),
        (mirrors(("other", "http://not")), None),
        (mirrors(("*", "http://all"), ("central", "http://one")), "http://one"),
        (mirrors(("*", "http://${env.MAVEN_HOST}/m2")), "http://mirror.example/m2"),
        (mirrors().replace("1.2.0", "1.0.0"), None),
        (
            "<settings><mirrors>" + MIRROR.format("central", "http://bare") + "</mirrors></settings>",
            "http://bare",
        ),
    ],
)
def test_the_mirror_is_the_one_that_maven_would_use(settings, expected, tmp_path, monkeypatch):
    monkeypatch.setenv("MAVEN_HOST", "mirror.example")
    (tmp_path / "settings.xml").write_text(settings)
    assert maven.mirror_of_central(tmp_path / "settings.xml") == expected


def test_settings_that_are_no_xml_are_named(tmp_path):
    (tmp_path / "settings.xml").write_text("<settings>")
    with pytest.raises(ConfigurationError, match=r"settings\.xml is not XML"):
        maven.mirror_of_central(tmp_path / "settings.xml")


def test_the_variable_comes_before_the_settings(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".m2").mkdir()
    (tmp_path / ".m2" / "settings.xml").write_text(mirrors(("*", "http://settings")))
    monkeypatch.delenv(maven.VARIABLE, raising=False)
    assert maven.chosen_repository() == "http://settings"
    monkeypatch.setenv(maven.VARIABLE, "http://variable/")
    assert maven.chosen_repository() == "http://variable"


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A Maven repository on loopback, which the variable names."""
    root = tmp_path / "repository"
    root.mkdir()
    server = HTTPServer(("127.0.0.1", 0), lambda *given: _Quiet(*given, directory=str(root)))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    monkeypatch.setenv(maven.VARIABLE, f"http://user:secret@127.0.0.1:{server.server_port}")
    monkeypatch.setattr(maven, "_BACKOFF_SECONDS", 0.0)
    yield root
    gc.collect()
    server.shutdown()
    thread.join()
    server.server_close()


def jar(content=b"jar"):
    return Jar("org.example", "thing", "1.0", hashlib.sha256(content).hexdigest(), "Apache-2.0")


def publish(root, content=b"jar"):
    folder = root / "org/example/thing/1.0"
    folder.mkdir(parents=True)
    (folder / "thing-1.0.jar").write_bytes(content)


def fetch_into(directory, one=None):
    directory.mkdir()
    maven.fetch([one or jar()], directory)


def test_a_jar_of_the_locked_digest_is_all_that_is_left(repository, tmp_path):
    publish(repository)
    fetch_into(tmp_path / "jars")
    assert [path.name for path in (tmp_path / "jars").iterdir()] == ["thing-1.0.jar"]
    assert (tmp_path / "jars" / "thing-1.0.jar").read_bytes() == b"jar"


def test_a_jar_of_another_digest_is_refused(repository, tmp_path):
    publish(repository, b"another")
    with pytest.raises(ConfigurationError, match=rf"thing-1\.0\.jar of SHA-256 .*expected {jar().sha256}"):
        fetch_into(tmp_path / "jars")
    assert list((tmp_path / "jars").glob("*.jar")) == []


def test_a_repository_without_the_jar_is_named_without_its_password(repository, tmp_path):
    with pytest.raises(ConfigurationError, match=r"^http://127\.0\.0\.1:\d+ does not give thing-1\.0\.jar$"):
        fetch_into(tmp_path / "jars")


def test_a_repository_that_cannot_be_reached_is_named(repository, tmp_path, monkeypatch):
    monkeypatch.setenv(maven.VARIABLE, "http://user:secret@127.0.0.1:1")
    with pytest.raises(
        ConfigurationError, match=r"^http://127\.0\.0\.1:1 cannot be reached \(ConnectionError\)$"
    ):
        fetch_into(tmp_path / "jars")


@pytest.fixture
def unreachable(tmp_path, monkeypatch):
    """A machine whose repository refuses connections, and whose cache is empty."""
    monkeypatch.setenv(maven.VARIABLE, "http://127.0.0.1:1")
    monkeypatch.setenv("HEADRACE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    (tmp_path / "bin").mkdir()
    return tmp_path


async def test_without_a_repository_and_maven_one_line_says_what_can_be_done(unreachable):
    with pytest.raises(ConfigurationError) as failure:
        await install.kafka_jars(lambda _: None)
    (line,) = str(failure.value).splitlines()
    assert "http://127.0.0.1:1 cannot be reached" in line
    assert maven.VARIABLE in line
    assert "HEADRACE_KAFKA" in line
    assert [path.suffix for path in (unreachable / "cache").iterdir()] == [".lock"]


async def test_a_full_disk_is_named_before_anything_is_fetched(tmp_path, monkeypatch):
    with small_disk(tmp_path) as disk:
        if not disk.mounted:
            pytest.skip("mounting needs root")
        monkeypatch.setenv("HEADRACE_CACHE", str(disk.path))
        said = []
        with pytest.raises(ConfigurationError, match=rf"^no space left on {disk.path}: \d MiB free"):
            await install.kafka_jars(said.append)
        assert said == []


async def test_maven_is_asked_where_the_repository_cannot_be_reached(unreachable, monkeypatch):
    said, stored = [], []
    mvn = unreachable / "bin" / "mvn"
    mvn.write_text('#!/bin/sh\nfor word do case $word in -DoutputDirectory=*) d=${word#*=} ;; esac; done\n'
                   '/bin/mkdir -p "$d" && echo content > "$d/some.jar"\n')  # fmt: skip
    mvn.chmod(0o755)
    monkeypatch.setattr(install, "check_jars", lambda directory: stored.extend(directory.iterdir()))
    jars = await install.kafka_jars(said.append)
    assert [path.name for path in jars.iterdir()] == ["some.jar"]
    assert [path.name for path in stored] == ["some.jar"]
    assert any("Maven is asked instead" in line for line in said)
