"""What makes Podman work on a machine without cgroup2 is not in the way elsewhere."""

import os
import subprocess

from tests.composed import ROOT

RUN = ROOT / "deploy" / "podman" / "run"


def run(directory, filesystem, *words, user="0"):
    """With a `stat` that says which file system /sys/fs/cgroup is, an `id`, and an `unshare` that tells its words."""
    for name, line in (
        ("stat", f"echo {filesystem}"),
        ("id", f"echo {user}"),
        ("unshare", 'echo "unshare $*"'),
    ):
        tool = directory / name
        tool.write_text(f"#!/bin/sh\n{line}\n", encoding="utf-8")
        tool.chmod(0o700)
    environment = {"PATH": f"{directory}:{os.environ['PATH']}"}
    return subprocess.run(
        [RUN, *words], env=environment, capture_output=True, text=True, timeout=30, check=False
    )


def test_where_cgroup2_is_there_the_command_just_runs(tmp_path):
    done = run(tmp_path, "cgroup2fs", "sh", "-c", 'echo "$1 ${CONTAINERS_CONF-unset}"', "sh", "a  b")
    assert (done.returncode, done.stdout) == (0, "a  b unset\n")


def test_elsewhere_it_gets_a_mount_namespace(tmp_path):
    done = run(tmp_path, "tmpfs", "podman", "info")
    assert done.returncode == 0
    assert done.stdout.startswith("unshare -m sh -c mount -t cgroup2 none /sys/fs/cgroup")
    assert done.stdout.endswith("podman info\n")


def test_who_may_not_mount_is_told(tmp_path):
    done = run(tmp_path, "tmpfs", "podman", "info", user="1000")
    assert done.returncode == 1
    assert "run this as root" in done.stderr
