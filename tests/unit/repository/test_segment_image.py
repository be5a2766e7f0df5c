"""The image of the segment bridge's document: its printed line finds scripts, logins and clusters."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import pytest
from typer.main import get_command

from headrace_services.segment_bridge.commands import segment

ROOT = Path(__file__).parents[3]
CONTAINERFILE = (ROOT / "deploy" / "Containerfile").read_text(encoding="utf-8")
# As the document prints it, and its drawing names the scripts.
PRINTED = """podman run -it --rm \\
         -v ~/.netrc:/usr/local/etc/netrc:z \\
         -v ~/.kube/config:/usr/local/etc/kube_config:z \\
         segment-bridge"""
DRAWN = (
    "get-uid-map.sh", "fetch-uj-records.sh", "splunk-to-segment.sh", "segment-mass-uploader.sh",
    "segment-uploader.sh", "mk-segment-batch-payload.sh",
)  # fmt: skip


def stage(name):
    """Its instructions."""
    (found,) = re.findall(
        rf"^FROM \S+ AS {name}\n(.*?)(?=^FROM |\Z)", CONTAINERFILE, re.DOTALL | re.MULTILINE
    )
    return [line for line in found.splitlines() if not line.startswith("#")]


@pytest.fixture(scope="module")
def scripts(tmp_path_factory):
    """What the image's build writes, by its own command."""
    directory = tmp_path_factory.mktemp("bin")
    (run,) = (line for line in stage("segment-bridge") if line.startswith("RUN "))
    words = re.findall(r'"([^"]+)"', run)
    assert (words[0], words[-1]) == ("/opt/headrace/bin/python", "/usr/local/bin")
    subprocess.run([sys.executable, *words[1:-1], str(directory)], check=True, timeout=120)
    return {path.name: path for path in directory.iterdir()}


def test_every_script_of_the_document_is_in_the_image(scripts):
    assert set(DRAWN) <= set(scripts)
    known = cast("Any", get_command(segment)).commands
    for name, path in scripts.items():
        assert path.stat().st_mode & 0o777 == 0o755, name
        *_, last = path.read_text(encoding="utf-8").splitlines()
        assert re.match(r"exec headrace segment (\w+)", last)[1] in known
        assert last.endswith(' "$@"')


def test_the_printed_line_finds_the_image_and_mounts_what_it_reads():
    lines = stage("segment-bridge")
    settings = dict(word.split("=") for line in lines if line.startswith("ENV ") for word in line.split()[1:])
    mounted = re.findall(r"-v \S+?:([^:]+):z", PRINTED)
    assert [settings["CURL_NETRC"], settings["KUBECONFIG"]] == mounted
    # A shell, in which the document types its chain, and who may read the files of who started it.
    assert lines[-2:] == ["ENTRYPOINT []", 'CMD ["bash"]']
    assert "USER 0:0" in lines
    images = (ROOT / "deploy" / "images.py").read_text(encoding="utf-8")
    assert f'"localhost/{PRINTED.rsplit(maxsplit=1)[-1]}:latest"' in images


def test_the_application_stays_nobodys():
    lines = stage("application")
    assert "USER 10001:10001" in lines
    assert lines[-3:-1] == ['ENTRYPOINT ["headrace"]', 'CMD ["services"]']
    assert not [line for line in lines if "headrace_services.segment_bridge.scripts" in line]
