"""What compose.yaml runs as S3, `deploy/seaweedfs`, in namespaces of its own instead of a container."""

import shutil
import subprocess
from pathlib import Path

import pytest

from headrace.local import install

ROOT = Path(__file__).parents[3]
SCRIPTS = ROOT / "deploy" / "seaweedfs"
NAMESPACES = ("unshare", "--net", "--mount", "--pid", "--fork", "--kill-child")

TRIAL = """
set -eu
ip link set lo up
mkdir -p {place}/data {place}/tmp {place}/headrace
mount --bind {scripts} {place}/headrace
sed 's,/headrace/,{place}/headrace/,' {scripts}/start > {place}/start
sh {place}/start > {place}/log 2>&1 &
mc="{place}/headrace/mc"
i=0
until curl -fsS http://127.0.0.1:9000/minio/health/live 2> /dev/null; do
  i=$((i + 1)); [ $i -lt 300 ] || {{ tail {place}/log; exit 1; }}; sleep 0.1
done
$mc mb my/ros-data
echo 1,2 | $mc pipe my/ros-data/piped.csv
echo 3,4 | $mc cp /dev/stdin my/ros-data/copied.csv
if $mc cp /dev/stdin my/ros-data/nothing.csv < /dev/null; then exit 1; fi
$mc cp {place}/start my/ros-data/folder/
$mc ls my/ros-data/ | sed 's/.*] /listed /'
echo "cat $($mc cat my/ros-data/copied.csv)"
for path in minio/health/live minio/ ros-data/ ros-data/piped.csv; do
  echo "$path $(curl -s -o /dev/null -w '%{{http_code}}' http://127.0.0.1:9000/$path)"
done
echo "minio/x $(curl -s -o /dev/null -w '%{{http_code}}' -X PUT -d x http://127.0.0.1:9000/minio/x)"
ss -Hltn | while read -r _ _ _ local _; do echo "listens $local"; done
"""


def test_container_takes_the_documents_words_and_shows_no_port_but_s3(tmp_path: Path):
    missing = [name for name in ("unshare", "ip", "ss", "curl") if shutil.which(name) is None]
    if missing or subprocess.run([*NAMESPACES, "true"], capture_output=True, check=False).returncode:
        pytest.skip(f"namespaces cannot be made here (root, and {', '.join(missing) or 'unshare'})")
    done = subprocess.run(
        [*NAMESPACES, "sh", "-c", TRIAL.format(place=tmp_path, scripts=SCRIPTS)],
        env={
            "PATH": f"{install.seaweedfs().parent}:/usr/sbin:/usr/bin:/sbin:/bin",
            "AWS_ACCESS_KEY_ID": "minioaccesskey",
            "AWS_SECRET_ACCESS_KEY": "miniosecretkey",
            "SEAWEEDFS_DATA": str(tmp_path / "data"),
            "TMPDIR": str(tmp_path / "tmp"),
        },
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    said = done.stdout.splitlines()
    assert [line for line in said if line.startswith("listed")] == [
        "listed 4B copied.csv",
        f"listed {(tmp_path / 'start').stat().st_size}B folder/start",
        "listed 4B piped.csv",
    ]
    assert "cat 3,4" in said
    answers = [line for line in said if line.startswith(("minio/", "ros-data/"))]
    assert answers == [
        "minio/health/live 200",
        "minio/ 403",
        "ros-data/ 403",
        "ros-data/piped.csv 403",
        "minio/x 403",
    ]
    outside = {line for line in said if line.startswith("listens") and "127.0.0.1" not in line}
    # S3, and its gRPC port, which asks for the keys that `start` makes.
    assert outside == {"listens *:9000", "listens *:19000"}
    assert "Invalid source `/dev/stdin`" in done.stderr
