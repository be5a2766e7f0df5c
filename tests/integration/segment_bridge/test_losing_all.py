"""An input that would lose all rows, or nearly all, is a failure of the stage, the run, and the service's run."""

import json

import orjson
import pytest

from headrace.local.simulators.kubernetes import NAMESPACES, USER_SIGNUPS
from tests.integration.segment_bridge.harness import HEADRACE, environment_of, outcomes

pytestmark = pytest.mark.timeout(300)
IDS, WORKSPACES = {"alice": "11"}, {"alice-tenant": "alice"}
EMPTY = {
    "an empty object": "{}",
    "an empty file": "",
    "blanks": " \n",
    "null": "null",
    "a list": "[]",
    "a text": '"x"',
    "only nulls": '{"alice": null, "alice-tenant": null}',
    "only false": '{"alice": false}',
    "an empty value": '{"alice": ""}',
    "a blank value": '{"alice": "  "}',
    "another shape": '{"data": {"alice": "11"}}',
}


def row(namespace="alice-tenant", **changes):
    result = {
        "messageId": "m", "timestamp": "t", "type": "track", "namespace": namespace, "event": "e",
        "properties": "{}", "context": "{}", **changes,
    }  # fmt: skip
    return orjson.dumps({"preview": False, "offset": 0, "result": result}) + b"\n"


@pytest.fixture
def transform(shell, tmp_path):
    """The stage over `given`, with maps and settings."""

    async def run(given, ids=IDS, workspaces=WORKSPACES, options="", **environment):
        files = {}
        for variable, content in (("UID_MAP_FILE", ids), ("WS_MAP_FILE", workspaces)):
            path = tmp_path / variable
            path.write_text(content if isinstance(content, str) else json.dumps(content))
            files[variable] = str(path)
        return await shell(f"{HEADRACE} segment transform {options}", given, **files, **environment)

    return run


@pytest.mark.parametrize("way", ["an empty object", "null", "only nulls", "a blank value"])
async def test_the_stage_refuses_a_map_that_has_nothing_whether_or_not_there_are_rows(transform, way):
    for given in (row(), b""):
        code, output, errors = await transform(given, ids=EMPTY[way])
        assert (code, output) == (1, b"")
        assert errors.startswith("headrace: UID_MAP_FILE: ")
    code, _, errors = await transform(row(), workspaces=EMPTY[way])
    assert code == 1
    assert errors.startswith("headrace: WS_MAP_FILE: ")


async def test_the_stage_fails_where_the_maps_lose_all_rows_or_nearly_all(transform):
    code, output, errors = await transform(row() * 3, workspaces={"other-tenant": "alice"})
    assert (code, output) == (1, b"")
    assert "3 of 3 rows are lost: 3 namespace without a workspace (workspace map)" in errors
    code, output, errors = await transform(row() + row("kube-system") * 19)
    assert code == 1
    assert "19 of 20 rows are lost" in errors
    # What there is goes on all the same.
    assert len(output.splitlines()) == 1
    code, _, errors = await transform(row(userId="mallory") * 2)
    assert code == 1
    assert "2 of 2 rows are lost: 2 user without an id (uid map)" in errors


async def test_some_rows_that_are_nobodys_are_no_failure_and_neither_are_no_rows(transform):
    code, output, errors = await transform(row() * 2 + row("kube-system") * 8)
    assert code == 0, errors
    assert len(output.splitlines()) == 2
    nothing_found = b'{"preview":false,"lastrow":true}\n' * 8
    for given in (
        b"",
        b"\n\n",
        nothing_found,
        nothing_found + b'{"messages":[{"type":"INFO","text":"x"}]}\n',
    ):
        code, output, errors = await transform(given)
        assert (code, output) == (0, b""), errors


async def test_what_is_no_answer_of_splunks_is_no_success(transform):
    audit_record = orjson.dumps({"kind": "Event", "auditID": "1", "verb": "create"}) + b"\n"
    code, _, errors = await transform(audit_record * 5)
    assert code == 1
    assert "5 of 5 rows are lost: 5 not a row of Splunk" in errors


async def test_the_share_is_a_setting_and_0_is_upstreams_way(transform):
    half = row() + row("kube-system")
    assert (await transform(half))[0] == 0
    assert (await transform(half, SEGMENT_LOST_SHARE="0.5"))[0] == 1
    assert (await transform(row("kube-system"), SEGMENT_LOST_SHARE="0"))[0] == 0
    code, _, errors = await transform(half, SEGMENT_LOST_SHARE="2")
    assert code == 1
    assert "SEGMENT_LOST_SHARE" in errors


@pytest.mark.parametrize("options", ["", "--dry-run"])
async def test_a_run_once_whose_maps_are_another_clusters_fails(chain, shell, tmp_path, options):
    other = tmp_path / "ws.json"
    other.write_text('{"another-clusters-tenant": "user1"}')
    environment = environment_of(chain, tmp_path) | {"WS_MAP_FILE": str(other)}
    code, _, errors = await shell(f"{HEADRACE} segment run --once {options}", **environment)
    assert code == 1, errors
    assert "rows are lost" in errors
    assert not chain.segment.ids


async def test_a_map_of_kubernetes_that_comes_back_empty_is_no_success(chain, shell):
    for cluster in chain.kubernetes.clusters.values():
        cluster.collections[USER_SIGNUPS].clear()
        cluster.collections[NAMESPACES].clear()
    environment = {**chain.environment, "KUBECONFIG": chain.environment["KUBECONFIG_SRC"]}
    for kind, option in (("uid", ""), ("workspace", ""), ("uid", "--upload-to-splunk")):
        code, _, errors = await shell(f"{HEADRACE} segment maps {kind} {option}", **environment)
        assert code == 1
        assert "the map is empty" in errors
    assert not chain.splunk.kv.collections
    code, _, errors = await shell(f"{HEADRACE} segment run --once", **environment)
    assert code == 1
    assert "is empty: Kubernetes has none" in errors


async def test_a_damaged_file_of_dead_letters_is_no_success(shell, tmp_path):
    letters = tmp_path / "letters"
    letters.write_bytes(
        b'{"at":"t","reason":"r","event":{"messageId":"1"}}\n{"at":"t","rea\n[1]\n{"other":1}\n'
    )
    code, output, errors = await shell(f"{HEADRACE} segment letters {letters}")
    assert (code, output) == (1, b'{"messageId":"1"}\n')
    assert "3 lines are not dead letters" in errors
    letters.write_bytes(b'{"at":"t","reason":"r","event":{"messageId":"1"}}\n')
    # Letters of the other kind are no damage.
    assert (await shell(f"{HEADRACE} segment letters --rows {letters}"))[:2] == (0, b"")


@pytest.mark.parametrize("way", EMPTY)
async def test_a_run_of_the_service_with_a_map_that_has_nothing_fails(bridge, tables, tmp_path, way):
    (tmp_path / "map").write_text(EMPTY[way])
    for variable in ("uid_map_file", "ws_map_file"):
        replica = bridge(bridge={"interval_seconds": 0.001}, segment={variable: str(tmp_path / "map")})
        await replica.turn(starting=False)
        name = variable.upper()
        assert name in replica.problem
    assert [succeeded for succeeded, _ in await outcomes(tables)] == [False, False]


async def test_a_run_of_the_service_whose_maps_lose_every_row_fails_and_the_next_makes_up_for_it(
    chain,
    bridge,
    tables,
    tmp_path,
):
    (tmp_path / "map").write_text('{"another-clusters-tenant": "user1"}')
    often = {"interval_seconds": 0.001}
    await bridge(bridge=often, segment={"ws_map_file": str(tmp_path / "map")}).turn(starting=False)
    ((succeeded, outcome),) = await outcomes(tables)
    assert not succeeded
    assert outcome["succeeded"] is False
    lost = outcome["rows"]
    assert outcome["problems"] == [
        f"{lost} of {lost} rows are lost: {lost} namespace without a workspace (workspace map)"
    ]
    await bridge(bridge=often).turn(starting=False)
    assert [succeeded for succeeded, _ in await outcomes(tables)] == [False, True]
    assert len(chain.segment.ids) == lost


async def test_a_run_that_finds_nothing_or_nothing_new_is_a_success(chain, bridge, tables):
    often = {"interval_seconds": 0.001}
    for _ in range(2):
        await bridge(bridge=often).turn(starting=False)
    chain.splunk.indexes.clear()
    await bridge(bridge=often).turn(starting=False)
    found = await outcomes(tables)
    assert [succeeded for succeeded, _ in found] == [True] * 3
    assert found[1][1]["sent"] == found[2][1]["rows"] == 0
