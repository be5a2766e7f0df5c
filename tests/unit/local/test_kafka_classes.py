"""The archive of Kafka's classes: what it is for is speed, so nothing depends on it."""

from pathlib import Path

from headrace.local import kafka
from headrace.local.ports import EnginePorts
from headrace.local.process import ChildFailed


def broker(tmp_path):
    made = kafka.Kafka(tmp_path / "kafka", EnginePorts.random())
    made._java, made._jars = Path("/bin/sh"), tmp_path
    return made


async def test_what_is_written_once_is_used_from_then_on(tmp_path, monkeypatch):
    written = []

    async def write(self, archive):
        written.append(archive)
        archive.write_bytes(b"classes")

    monkeypatch.setattr(kafka.Kafka, "_write_classes", write)
    said = []
    (option,) = await broker(tmp_path)._shared_classes(said.append)
    (archive,) = tmp_path.glob("*.jsa")
    assert option == f"-XX:SharedArchiveFile={archive}"
    assert await broker(tmp_path)._shared_classes(said.append) == (option,)
    assert len(written) == len(said) == 1


async def test_a_jvm_that_writes_none_starts_without(tmp_path, monkeypatch):
    async def write(self, archive):
        raise ChildFailed("Kafka's first start exited with 1 while starting")

    monkeypatch.setattr(kafka.Kafka, "_write_classes", write)
    said = []
    assert await broker(tmp_path)._shared_classes(said.append) == ()
    assert (
        said[-1] == "Kafka's classes could not be prepared: Kafka's first start exited with 1 while starting"
    )


async def test_a_broker_that_ended_without_writing_is_told(tmp_path, monkeypatch):
    async def write(self, archive):
        pass

    monkeypatch.setattr(kafka.Kafka, "_write_classes", write)
    said = []
    assert await broker(tmp_path)._shared_classes(said.append) == ()
    assert said[-1].startswith("Kafka's classes could not be prepared: ")
    assert list(tmp_path.glob("*.jsa")) == []


def test_another_program_in_its_place_is_another_one(tmp_path):
    program = tmp_path / "java"
    program.touch()
    first = kafka._identity(program)
    assert kafka._identity(program) == first
    program.unlink()
    program.write_text("newer")
    assert kafka._identity(program) != first
