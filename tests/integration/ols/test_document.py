"""docs/ols.md: its curl lines work as printed, its configuration file starts the service."""

import asyncio
import json
import re
import shutil
from pathlib import Path

import pytest

from tests.integration.ols.harness import Ols, open_ols

PAGE = (Path(__file__).parents[3] / "docs" / "ols.md").read_text(encoding="utf-8")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BLOCKS = FENCE.findall(PAGE)


@pytest.mark.skipif(not shutil.which("curl"), reason="needs curl")
async def test_the_first_curls(ols: Ols):
    script = BLOCKS[0][1].replace("http://localhost:8007", ols.url)
    script = script.replace(".headrace/ols-user-data", str(ols.root)).replace("curl ", "curl -sS --fail ")
    process = await asyncio.create_subprocess_shell(
        f"set -e\n{script}", stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output = (await process.communicate())[0].decode()
    assert process.returncode == 0, output
    for part in (
        "not a language model",
        '"event":"end"',
        '{"response":"feedback received"}',
        '{"enabled":true}',
    ):
        assert part in output
    listed = set(re.findall(rf"{ols.root}/(\w+)/\S+\.json", output))
    assert listed == {"feedback", "transcripts", "config", "config_status"}


async def test_the_configuration_file(root: Path, tmp_path: Path):
    for name in ("key", "prompt.txt"):
        (tmp_path / name).write_text("text", encoding="utf-8")
    (config,) = (text for kind, text in BLOCKS if kind == "yaml")
    config = config.replace("/etc/ols/", f"{tmp_path}/").replace("/app-root/ols-user-data", "ROOT")
    config = config.replace("module: k8s", "module: noop")
    async with open_ols(root, config=config) as ols:
        assert (await ols.feedback()).status == 200
        (captured,) = ols.records("config")
        (status,) = ols.records("config_status")
    assert captured["configuration"] == config.replace("ROOT", str(root)), "it has no secret"
    assert json.dumps(status["models"]) == '{"vllm": ["granite"]}'
