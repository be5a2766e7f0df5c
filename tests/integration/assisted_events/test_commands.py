"""`headrace assisted`, against a running service."""

import asyncio
import json
from pathlib import Path

from typer.testing import CliRunner

from headrace_services.assisted_events.commands import assisted
from tests.integration.assisted_events.harness import Endpoint, Sender, members_of


async def run(*words: str) -> list[str]:
    result = await asyncio.to_thread(CliRunner().invoke, assisted, [*words])
    assert result.exit_code == 0, result.output
    # The service in this process logs to the same place.
    return [line for line in result.output.splitlines() if " module=" not in line]


async def test_simulate_sent_preview_replay_opt_out_and_export(
    sender: Sender, endpoint: Endpoint, tmp_path: Path
) -> None:
    url = ("--url", sender.url)
    (line,) = await run(
        "simulate", "--clusters", "1", "--hosts", "4", "--events", "70", "--end-state", "error", *url
    )
    cluster_id, *rest = line.split("  ")
    assert rest == ["error", "4 hosts", "70 events"]
    await sender.in_state(cluster_id, "sent")
    header, row = await run("sent", *url)
    assert header.split()[:3] == ["cluster_id", "outcome", "state"]
    assert row.split()[:3] == [cluster_id, "error", "sent"]
    shown = json.loads("\n".join(await run("sent", "--json", "--cluster", cluster_id, *url)))
    assert shown["count"] == 1
    path = tmp_path / "preview.tgz"
    await run("preview", cluster_id, "-o", str(path), *url)
    assert members_of(path.read_bytes()) == endpoint.accepted[0].members
    assert await run("replay", str(path), *url) == [f"{cluster_id}  4 hosts  0 events"]
    await run("opt-out", cluster_id, *url)
    await run("simulate", "--cluster", cluster_id, *url)
    await sender.in_state(cluster_id, "skipped")
    await run("opt-out", cluster_id, "--undo", *url)
    assert await run("send", cluster_id, *url) == [f"{cluster_id}  waiting"]
    await sender.in_state(cluster_id, "sent")
    endpoint.answer = (400, b"")
    (line,) = await run("simulate", *url)
    refused = line.split("  ")[0]
    await sender.in_state(refused, "given_up")
    exported = tmp_path / "exported"
    (line,) = await run("export", "-o", str(exported), *url)
    assert line.startswith(f"{exported}/{refused}.events.tgz  ")
    assert members_of((exported / f"{refused}.events.tgz").read_bytes())
    assert (await sender.sendings(refused))[0]["state"] == "exported"
