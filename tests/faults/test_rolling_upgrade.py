"""Every service goes from the commit before to this one while senders go on: none fails after retry, none is lost.

HEADRACE_TEST_BEFORE names another commit or tag to come from.
"""

import asyncio
import os
import subprocess
from contextlib import contextmanager

import pytest

from tests.faults.sending import payloads, sending
from tests.faults.whole import ENVIRONMENT, all_ended, verdict_of
from tests.processes import ROOT
from tests.replicas import ALL, Cluster
from tests.waiting import eventually


def git(*arguments):
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(
            f"there is no commit before this one here: git {' '.join(arguments)}: {done.stderr.strip()}"
        )
    return done.stdout.strip()


@contextmanager
def before(directory):
    """The tree of the release before, and its commit."""
    commit = git("rev-parse", "--short", os.environ.get("HEADRACE_TEST_BEFORE") or "HEAD~1")
    tree = directory / "before"
    git("worktree", "add", "--detach", str(tree), commit)
    try:
        yield tree, commit
    finally:
        git("worktree", "remove", "--force", str(tree))


@pytest.mark.row(33, 26)
@pytest.mark.xdist_group("kills")
@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_services_of_two_releases_work_side_by_side_while_each_is_replaced(tmp_path, row):
    prepared = await payloads(tmp_path, 2)
    groups = [(name,) for name in ALL] if row.full else [ALL]
    with before(tmp_path) as (tree, commit):
        async with Cluster(tmp_path, **ENVIRONMENT) as cluster:
            old = await asyncio.gather(*(cluster.add(names, root=tree) for names in groups))
            async with sending(cluster.url("ingress"), prepared) as load:
                await eventually(lambda: len(load.acknowledged) >= len(prepared), within_seconds=120)
                # Migrations of this release run while the one before works.
                for replica in old:
                    await cluster.replace(replica)
                    sent = len(load.sent)
                    await eventually(lambda sent=sent: len(load.sent) > sent + 3, within_seconds=120)
            await all_ended(cluster.settings, load, 240)
            verdict = await verdict_of(cluster.settings, load)
    row.record(
        before=commit, processes_replaced=len(groups), sent=len(load.sent), accepted=len(load.acknowledged),
        sends_repeated=verdict.counts["sends repeated"], lost=0,
    )  # fmt: skip
    assert verdict.broken == []
    assert len(load.acknowledged) == len(load.sent)
