"""An engine that lives and does not answer is found out, told of, and started again; a busy one is left alone."""

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import pytest
import pytest_asyncio

from headrace.laptop.holding import hold, release
from headrace.local import install
from headrace.local.ports import HOST, EnginePorts
from headrace.local.seaweedfs import SeaweedFS
from headrace.local.stack import Engines
from headrace.local.supervisor import Patience
from headrace.run_file import read_run
from headrace.runtime.errors import ConfigurationError
from tests.integration.local.clients import first_record, is_kept, keep_something, send_record
from tests.waiting import eventually

QUICK = Patience(
    every_seconds=0.2, answer_seconds=1.0, silent_seconds=15.0, refusing_seconds=2.0, end_seconds=0.5
)


def rows(stack: Engines) -> dict[str, tuple[str, int | None]]:
    return {status.name: (status.state, status.pid) for status in stack.describe()}


class MasterMoved(EnginePorts):
    """SeaweedFS' master is looked for at the port that Kafka's controller would have."""

    def seaweedfs(self) -> dict[str, int]:
        return super().seaweedfs() | {"master": self.kafka_controller}


@dataclass(frozen=True)
class Impatient:
    """A stack that is soon out of patience, its ports, where it keeps its data, and what it said."""

    stack: Engines
    ports: EnginePorts
    directory: Path
    said: list[str]


@pytest_asyncio.fixture(loop_scope="class", scope="class")
async def impatient(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Impatient]:
    directory, said, ports = tmp_path_factory.mktemp("impatient"), [], EnginePorts.random()
    async with Engines(directory, ports, progress=said.append, patience=QUICK) as stack:
        yield Impatient(stack, ports, directory, said)


@pytest.mark.asyncio(loop_scope="class")
@pytest.mark.slow
class TestImpatience:
    """On one stack, which asks its engines so often that it lives no longer than these tests."""

    async def test_engines_that_hang_are_told_of_and_started_again_with_what_they_held(
        self, impatient: Impatient
    ):
        """Before, `headrace status` and run.json said ready for as long as a hanging process lived."""
        stack, said = impatient.stack, len(impatient.said)
        await keep_something(stack.environment())
        before = rows(stack)
        for _, pid in before.values():
            os.kill(pid, signal.SIGSTOP)
        seen: set[tuple[str, str]] = set()

        def back() -> bool:
            published = (read_run(impatient.directory) or {}).get("engines", ())
            seen.update((row["name"], row["state"]) for row in published)
            seen.update((row["name"], "told") for row in published if "not answered" in (row["reason"] or ""))
            now = rows(stack)
            return all(
                state == "ready" and pid not in {None, before[name][1]} for name, (state, pid) in now.items()
            )

        await eventually(back, within_seconds=90, describe="all are back")
        assert {(name, state) for name in before for state in ("silent", "told")} <= seen
        assert await is_kept(stack.environment())
        assert {status.reason for status in stack.describe()} == {None}
        assert sum("has not answered for" in line for line in impatient.said[said:]) == 3

    @pytest.mark.row(27)
    @pytest.mark.parametrize("name", ["kafka", "s3", "postgres"])
    async def test_a_killed_engine_is_started_again_and_its_log_is_shown(
        self, impatient: Impatient, name: str
    ):
        stack, said = impatient.stack, len(impatient.said)
        (before,) = (status for status in stack.describe() if status.name == name)
        assert before.pid
        os.kill(before.pid, signal.SIGKILL)
        await eventually(
            lambda: rows(stack)[name][0] == "ready" and rows(stack)[name][1] not in {before.pid, None},
            within_seconds=90,
            describe=f"{name} is back",
        )
        assert any("died (-9)" in line for line in impatient.said[said:])
        (after,) = (status for status in stack.describe() if status.name == name)
        assert after.restarts > before.restarts

    async def test_an_engine_that_is_only_slow_is_not_started_again(self, impatient: Impatient):
        """Each silence ends before patience does, as on a machine that has too much to do."""
        stack = impatient.stack
        before, restarts = rows(stack), [status.restarts for status in stack.describe()]
        for _ in range(3):
            for _, pid in before.values():
                os.kill(pid, signal.SIGSTOP)
            await eventually(
                lambda: all(state == "silent" for state, _ in rows(stack).values()), within_seconds=10
            )
            for _, pid in before.values():
                os.kill(pid, signal.SIGCONT)
            await eventually(lambda: rows(stack) == before, within_seconds=60)
        assert [status.restarts for status in stack.describe()] == restarts

    async def test_a_held_engine_stays_stopped_until_it_is_released_with_what_it_held(
        self, impatient: Impatient
    ):
        stack, topic = impatient.stack, "held"
        await send_record(stack.environment()["HEADRACE_KAFKA"], topic, b"record")
        restarts = [status.restarts for status in stack.describe()]
        await asyncio.to_thread(hold, impatient.directory, "kafka")
        try:
            others = {name: row for name, row in rows(stack).items() if name != "kafka"}
            # Longer than it takes to restart an engine that died.
            await asyncio.sleep(10 * QUICK.every_seconds)
            assert rows(stack) == others | {"kafka": ("held", None)}
            assert stack.problem("kafka") == "held: stopped on request"
            with pytest.raises(OSError, match="onnect"):
                await asyncio.open_connection(HOST, impatient.ports.kafka)
        finally:
            await asyncio.to_thread(release, impatient.directory, "kafka")
        assert rows(stack)["kafka"][0] == "ready"
        assert await first_record(stack.environment()["HEADRACE_KAFKA"], topic) == b"record"
        assert [status.restarts for status in stack.describe()] == restarts

    async def test_what_is_no_engine_of_the_stack_is_not_held(self, impatient: Impatient):
        with pytest.raises(
            ConfigurationError, match="got engine 'redis', expected one of kafka, s3, postgres"
        ):
            await asyncio.to_thread(hold, impatient.directory, "redis")

    async def test_a_master_that_hangs_behind_an_s3_part_that_answers_is_silence(
        self, impatient: Impatient, tmp_path: Path
    ):
        """Before, reads went on working, every write failed for ever, and the stack was called ready."""
        with socket.create_server((HOST, 0)) as silent:
            moved = replace(impatient.ports, kafka_controller=silent.getsockname()[1])
            behind = MasterMoved(**asdict(moved))
            await SeaweedFS(tmp_path, impatient.ports, install.seaweedfs()).probe()
            with pytest.raises(TimeoutError):
                await SeaweedFS(tmp_path, behind, install.seaweedfs()).probe(within_seconds=0.5)
