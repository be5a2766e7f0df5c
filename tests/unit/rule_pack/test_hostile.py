"""No odd content makes a rule raise: it is skipped, silent, or says something that JSON can hold."""

import json

import orjson
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.calibration import Calibration
from tests.unit.rule_pack.archives import packed, rules
from tests.unit.rule_pack.samples import HITS, PASSES

FILES = {path: content for _, files, *_ in (*PASSES, *HITS) for path, content in files.items() if content}
DOCUMENTS = {path: content for path, content in FILES.items() if not isinstance(content, bytes)}
ODD_TEXT = st.sampled_from(
    [
        "",
        "True",
        "Fail",
        "\x00",
        "\ud83d\ude00",
        "9" * 40,
        "NaN",
        "2026-02-30T99:00:00Z",
        "0001-01-01T00:00:00+23:59",
    ]
)
ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | ODD_TEXT | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["name", "status", "metadata", "items", "0"]) | ODD_TEXT, inner, max_size=3
        )
    ),
    max_leaves=8,
)
few = settings(
    max_examples=30,
    # To make a failing archive small takes minutes, and the traceback says enough.
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.fixture(name="pack", scope="module")
def _pack():
    return rules()


def judged(pack, files):
    evaluation = pack.evaluate(packed(files))
    assert evaluation.exceptions == ()
    json.dumps(evaluation.report, allow_nan=False)
    return evaluation.report


@st.composite
def damaged(draw, value):
    """The value with one of its parts, at any depth, replaced by something odd."""
    if isinstance(value, dict) and value and draw(st.integers(0, 5)):
        key = draw(st.sampled_from(sorted(value)))
        return value | {key: draw(damaged(value[key]))}
    if isinstance(value, list) and value and draw(st.integers(0, 5)):
        at = draw(st.integers(0, len(value) - 1))
        return [*value[:at], draw(damaged(value[at])), *value[at + 1 :]]
    return draw(ODD)


@given(data=st.data())
@few
def test_documents_with_a_part_replaced_by_anything(pack, data):
    judged(pack, {path: data.draw(damaged(content)) for path, content in DOCUMENTS.items()})


@given(data=st.data())
@few
def test_files_that_hold_any_json_or_any_bytes(pack, data):
    paths = data.draw(st.lists(st.sampled_from(sorted(FILES)), max_size=6, unique=True))
    contents = st.binary(max_size=60) | ODD.map(lambda value: json.dumps(value).encode())
    judged(pack, {path: data.draw(contents) for path in paths})


@given(
    lines=st.lists(
        st.binary(max_size=40) | st.sampled_from([b"ALERTS{", b"ALERTS{a=", b"} 1", b"ALERTS{} x y"])
    )
)
@few
def test_metrics_of_any_kind(pack, lines):
    judged(pack, {"config/metrics": b"\n".join(lines)})


@pytest.mark.parametrize(
    "content",
    [
        b"[" * 200_000,
        b'{"kind": "Node", "metadata": ' + b'{"a":' * 900 + b"1" + b"}" * 901,
        b'{"a": ' + b"9" * 10_000 + b"}",
        b'{"a": "\\ud800"}',
        b"\xff\xfe{}",
        b"{} trailing",
        b"NaN",
    ],
    ids=["deep list", "deep object", "long number", "lone surrogate", "not UTF-8", "trailing", "no JSON"],
)
def test_json_that_breaks_readers(pack, content):
    judged(pack, dict.fromkeys(DOCUMENTS, content))


def test_a_metrics_file_of_one_endless_label_costs_no_time(pack):
    line, machine = b"ALERTS{" + b"a" * 5_000_000, Calibration()
    evaluation = pack.evaluate(packed({"config/metrics": line + b"\n" + b'ALERTS{a="' * 500_000}))
    assert evaluation.seconds < machine.wall(20)


def test_an_odd_file_silences_only_itself(pack):
    path, good = next(
        (path, content) for path, content in DOCUMENTS.items() if path.startswith("config/node/")
    )
    report = judged(
        pack, {path: good, "config/node/odd.json": b"{", "config/node/null.json": orjson.dumps(None)}
    )
    assert [
        entry["details"]["nodes"] for entry in report["pass"] if entry["key"] == "NODES_WITHOUT_PRESSURE"
    ] == [1]
