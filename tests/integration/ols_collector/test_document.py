"""The document's command and its printed lines, in a process of its own; and kill -9 at chosen moments."""

import asyncio
import os
import random
import re
import signal
import sys
from dataclasses import asdict

import orjson
import pytest

from tests.integration.ols_collector.harness import OFFLINE_TOKEN, open_peer
from tests.processes import ROOT
from tests.unit.ols_collector.data import CLUSTER_ID, names, plan, write
from tests.unit.ols_collector.test_config import DOCUMENT, DOCUMENT_OF_THE_SERVICE
from tests.waiting import eventually

# As the document prints them; what it cut out, or what differs from run to run, is a pattern.
LINES = (
    "INFO: collected 2 files (splitted to 1 chunks) from '{root}'",
    "DEBUG: collected files: [*]",
    "INFO: uploading data chunk 1/1",
    "INFO: sending collected data",
    "DEBUG: using CP offline token to generate refresh token",
    "DEBUG: posting payload to {url}/upload",
    "INFO: data uploaded with request_id: '*'",
    "DEBUG: removing '*'",
    "DEBUG: removing '*'",
    "INFO: uploaded data removed",
)
TIME = r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}\] "


def pattern(line, **values):
    return re.compile(TIME + ".*".join(re.escape(part.format(**values)) for part in line.split("*")))


# What the document types, and its twin.
PRINTED = (str(ROOT / "ols" / "user_data_collection" / "data_collector.py"),)
TWIN = ("-m", "headrace_services", "collector", "run")


async def command(tmp_path, *arguments, program=TWIN, **environment):
    return await asyncio.create_subprocess_exec(
        sys.executable, *program, *arguments,
        cwd=tmp_path,
        env={name: value for name, value in os.environ.items() if not name.startswith("OLS")} | environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip


async def ended(process, within_seconds=90):
    out, err = await asyncio.wait_for(process.communicate(), within_seconds)
    return process.returncode, out.decode(), err.decode()


async def test_the_document_s_configuration_prints_the_document_s_lines(tmp_path):
    root = tmp_path / "some" / "path"
    write(root, "feedback/f.json", age_seconds=9)
    write(root, "transcripts/u/c/t.json", age_seconds=8)
    (tmp_path / "olsconfig.yaml").write_text(DOCUMENT.replace(" token\n", f" {OFFLINE_TOKEN}\n"))
    async with open_peer(root) as peer:
        process = await command(
            tmp_path, program=PRINTED,
            INGRESS_URL=f"{peer.url}/upload", OLS_COLLECTOR_SSO_URL=f"{peer.url}/sso", PYTHONUNBUFFERED="1",
        )  # fmt: skip
        await eventually(lambda: not names(root), within_seconds=90)
        process.send_signal(signal.SIGTERM)
        code, out, err = await ended(process)
    assert (code, err) == (0, "")
    lines = out.splitlines()
    for line, printed in zip(LINES, lines, strict=False):
        assert pattern(line, root="some/path", url=peer.url).fullmatch(printed), (line, printed)
    assert not [line for line in lines if OFFLINE_TOKEN in line]


async def test_the_service_s_printed_configuration_starts_the_collector_too(tmp_path):
    root = tmp_path / "user-data"
    write(root, "config/c.json")
    (tmp_path / "olsconfig.yaml").write_text(DOCUMENT_OF_THE_SERVICE.replace("/your-path", str(tmp_path)))
    async with open_peer(root) as peer:
        process = await command(
            tmp_path, "--once",
            OLS_CONFIG_FILE="olsconfig.yaml", INGRESS_URL=f"{peer.url}/upload", INGRESS_SERVER_AUTH_TOKEN="direct",
        )  # fmt: skip
        assert (await ended(process))[0] == 0
        assert peer.accepted == {"config/c.json"}


async def test_once_ends_with_1_when_data_stay(tmp_path):
    write(tmp_path, "feedback/f.json")
    async with open_peer(tmp_path, 400) as peer:
        process = await command(
            tmp_path,
            "--once",
            OLS_USER_DATA_PATH=".",
            INGRESS_URL=f"{peer.url}/upload",
            INGRESS_SERVER_AUTH_TOKEN="d",
        )
        assert (await ended(process))[0] == 1


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("--config", "missing.yaml"), "missing.yaml: cannot be read: No such file or directory"),
        ((), "data_storage is not set"),
    ],
)
async def test_a_fault_of_the_configuration_is_one_line(tmp_path, arguments, reason):
    code, out, err = await ended(await command(tmp_path, *arguments))
    assert (code, out) == (1, "")
    assert err.count("\n") == 1
    assert reason in err


async def spawn(given, log):
    """The collector's own process, as the command becomes it."""
    reading, writing = os.pipe()
    os.write(writing, orjson.dumps(asdict(given)))
    os.close(writing)
    try:
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", "headrace_services.ols_collector.process", str(reading),
            cwd=ROOT, pass_fds=[reading], stdout=log, stderr=log,
        )  # fmt: skip
    finally:
        os.close(reading)


@pytest.mark.timeout(240)
async def test_killed_at_any_moment_it_loses_nothing(tmp_path, record_property):
    root = tmp_path / "data"
    chooser = random.Random()
    for number in range(400):
        write(root, f"transcripts/u/{number % 9}/{number}.json", f'{{"content":"{os.urandom(900).hex()}"}}')
    written = names(root)
    moments = ["head", "body", "answered", "answered", "random", "random"]
    chooser.shuffle(moments)
    kills = 0
    with (tmp_path / "log").open("wb") as log:
        async with open_peer(root) as peer:
            for moment in moments:
                write(root, f"feedback/{moment}-{kills}.json")
                written |= names(root)
                process = await spawn(plan(root, peer.url), log)

                def hook(at, process=process, moment=moment):
                    if at == moment and process.returncode is None:
                        process.kill()

                peer.hook = hook
                if moment == "random":
                    before = len(peer.uploads)
                    await eventually(lambda before=before: len(peer.uploads) > before, within_seconds=60)
                    await asyncio.sleep(chooser.uniform(0, 0.2))
                    if process.returncode is None:
                        process.kill()
                kills += await asyncio.wait_for(process.wait(), 60) == -signal.SIGKILL
                assert not peer.lost(written)
            peer.hook = lambda _: None
            last = await spawn(plan(root, peer.url, cluster_id=CLUSTER_ID), log)
            assert await asyncio.wait_for(last.wait(), 60) == 0
    assert kills >= 3
    assert peer.accepted == written
    assert not names(root)
    assert not peer.deleted_too_soon
    twice = sum(len(u.members) for u in peer.uploads if u.status == 202) - len(written)
    record_property(
        "figures",
        f"{kills} kills ({', '.join(moments)}), {len(written)} files, {len(peer.lost(written))} lost, "
        f"{len(peer.uploads)} uploads, {twice} files sent twice",
    )
