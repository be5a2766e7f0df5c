"""The stages as a person pipes them: processes of their own, the document's script names, exit codes, no secrets."""

import os

import orjson
import pytest

from headrace.local import tools
from headrace.local.simulators.chain import DIRECTORY
from headrace.local.simulators.segment import SegmentFault
from headrace_services.registry import BY_NAME
from tests.integration.segment_bridge.harness import HEADRACE, environment_of

# Each stage is a Python to start, several at a time.
pytestmark = pytest.mark.timeout(300)


async def test_the_documents_chain_works_as_printed(chain, shell, tmp_path):
    tools._write_all(
        tmp_path,
        None,
        [BY_NAME["segment_bridge"]],
        postgres_url="postgresql://postgres@127.0.0.1:1/x",
        s3="http://127.0.0.1:1",
    )
    path = f"{tmp_path}/bin/as-printed:{os.environ['PATH']}"
    code, _, errors = await shell(
        "fetch-uj-records.sh | splunk-to-segment.sh | segment-mass-uploader.sh", PATH=path
    )
    assert code == 0, errors
    assert len(chain.segment.ids) > 80
    assert not chain.segment.discarded
    assert f"{len(chain.segment.ids)} sent in 1 batches" in errors

    code, output, errors = await shell("get-uid-map.sh && get-workspace-map.sh", PATH=path)
    assert code == 0, errors
    uid_map, workspace_map = map(orjson.loads, output.splitlines())
    assert orjson.loads((tmp_path / DIRECTORY / "uid-map.json").read_bytes()) == uid_map
    assert workspace_map["user1-tenant"] == "user1"

    line = "podman run -it --rm -v ~/.netrc:/usr/local/etc/netrc:z -v ~/.kube/config:/usr/local/etc/kube_config:z"
    code, output, errors = await shell(f"{line} segment-bridge get-uid-map.sh", PATH=path)
    assert (code, orjson.loads(output)) == (0, uid_map), errors

    # Pieces of the chain, as segment-mass-uploader.sh has them: events anyhow on lines, one batch.
    events = b'\xef\xbb\xbf{"messageId": "\xc3\xa9", "n": 1.50}{"messageId":"2"}\n\n{\n "messageId": "3"}\n'
    code, output, errors = await shell("mk-segment-batch-payload.sh", events, PATH=path)
    assert (code, output.decode(), errors) == (
        0, '{"batch":[{"messageId":"é","n":1.5},{"messageId":"2"},{"messageId":"3"}]}\n', "",
    )  # fmt: skip
    sent = len(chain.segment.ids)
    event = b'{"messageId":"by-itself","type":"track","userId":"1","event":"x","properties":{}}\n'
    code, _, errors = await shell("segment-uploader.sh", event, PATH=path)
    assert (code, len(chain.segment.ids)) == (0, sent + 1), errors


@pytest.mark.parametrize(
    ("given", "code", "output"),
    [(b"", 0, b'{"batch":[]}\n'), (b"\n\n", 0, b'{"batch":[]}\n'), (b'{"a":1}\n{"b":\n', 1, b"")],
)
async def test_a_payload_holds_what_there_is_or_nothing(shell, given, code, output):
    found, written, errors = await shell(f"{HEADRACE} segment payload", given)
    assert (found, written) == (code, output), errors
    assert ("after 1 events" in errors) is (code == 1)


async def test_audit_logs_take_splunks_place(chain, shell, tmp_path):
    code, _, errors = await shell(
        f"{HEADRACE} segment audit {tmp_path}/{DIRECTORY}/audit.jsonl | {HEADRACE} segment transform"
        f" | {HEADRACE} segment upload",
        **environment_of(chain, tmp_path, SPLUNK_API_URL="http://127.0.0.1:1"),
    )
    assert code == 0, errors
    assert not chain.splunk.searches
    assert len(chain.segment.ids) > 80


async def test_a_run_once_and_a_dry_run(chain, shell, tmp_path):
    environment = environment_of(chain, tmp_path)
    code, _, errors = await shell(f"{HEADRACE} segment run --once --dry-run", **environment)
    assert code == 0, errors
    assert "events in 1 batches would be sent" in errors
    assert not chain.segment.requests
    code, _, errors = await shell(f"{HEADRACE} segment run --once --ledger {tmp_path}/ledger", **environment)
    assert code == 0, errors
    assert len(chain.segment.ids) > 80


async def test_weak_point_a_transformation_without_a_map_fails_with_a_clear_line(chain, shell, tmp_path):
    environment = environment_of(chain, tmp_path, WS_MAP_FILE="/dev/null")
    code, output, errors = await shell(f"{HEADRACE} segment transform", b'{"result":{}}\n', **environment)
    assert (code, output) == (1, b"")
    assert errors == "headrace: WS_MAP_FILE: /dev/null is empty, expected a JSON object\n"


async def test_a_malformed_row_fails_the_stage_only_where_nobody_keeps_it(chain, shell, tmp_path):
    environment = environment_of(chain, tmp_path)
    code, _, errors = await shell(f"{HEADRACE} segment transform", b"no json\n", **environment)
    assert code == 1
    assert "1 records are lost: use --dead-letters FILE to keep them" in errors
    letters = tmp_path / "letters"
    code, _, errors = await shell(
        f"{HEADRACE} segment transform --dead-letters {letters}", b"no json\n", **environment
    )
    assert code == 0, errors
    code, output, _ = await shell(f"{HEADRACE} segment letters --rows {letters}", **environment)
    assert (code, output) == (0, b"no json\n")


async def test_no_secret_is_in_any_line_whatever_goes_wrong(chain, shell, tmp_path):
    netrc = tmp_path / "planted"
    netrc.write_text(
        "machine 127.0.0.1 login admin password planted-password\nmachine localhost login planted-write-key\n"
    )
    environment = environment_of(chain, tmp_path, CURL_NETRC=str(netrc), SEGMENT_TIMEOUT_SECONDS="1")
    chain.segment.faults = [SegmentFault(cut=True), SegmentFault(hang=True)]
    event = b'{"messageId":"1","type":"track"}\n'
    code, output, errors = await shell(f"{HEADRACE} segment upload", event, **environment)
    assert code == 1
    assert "Segment answered 401" in errors
    code, more_output, more_errors = await shell(
        f"{HEADRACE} segment fetch", SPLUNK_RETRIES="0", **environment
    )
    assert code == 1
    assert "Splunk answered 401" in more_errors
    netrc.write_text("machine 127.0.0.1 login planted-write-key passwort planted-password\n")
    code, _, last_errors = await shell(f"{HEADRACE} segment upload", event, **environment)
    assert code == 1
    everything = output.decode() + errors + more_output.decode() + more_errors + last_errors
    assert "planted-write-key" not in everything
    assert "planted-password" not in everything
    assert "Traceback" not in everything
