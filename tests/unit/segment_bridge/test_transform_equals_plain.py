import json

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace_services.segment_bridge.transform import MALFORMED, Transform
from tests.unit.segment_bridge.plain_transform import Dropped, plain, rows_of

IDS = {"alice": "11", "bob": "0", "carol": "9007199254740993", "": "7"}
WORKSPACES = {"alice-tenant": "alice", "bob-tenant": "bob", "lost-tenant": "nobody", "\u00e9-tenant": "carol"}

# What orjson takes as a number and gives back as it was; text that is valid UTF-8.
text = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
numbers = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False, width=32)
values = st.recursive(
    st.none() | st.booleans() | numbers | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=6,
)
objects = st.dictionaries(
    st.sampled_from(["name", "workspaceID", "merge_url", 'a"b', "\u2028"]) | text, values
)
encoded = st.one_of(
    objects.map(json.dumps),
    objects.map(lambda item: json.dumps(item, ensure_ascii=False, indent=1)),
    values.map(json.dumps),
    st.sampled_from(["", "null", "{", '{"a":1,"a":2}', ' {"b": 1} ', "NaN", "[1]", '"text"']),
    values,
)
results = st.fixed_dictionaries(
    {},
    optional={
        "messageId": values | text,
        "timestamp": values,
        "type": st.just("track") | values,
        "namespace": st.sampled_from([*WORKSPACES, "kube-system"]) | values,
        "userId": st.sampled_from([*IDS, "mallory"]) | values,
        "event": st.sampled_from(["Pull request created", None]) | values,
        "event_subject": st.sampled_from(["applications", "toolchainstatuses", "unknowns", ""]) | values,
        "event_verb": st.sampled_from(["create", "deletecollection", "configure-pac"]) | values,
        "properties": encoded,
        "context": encoded,
    },
)
likely = st.fixed_dictionaries(
    {
        "messageId": text,
        "timestamp": text,
        "type": st.just("track"),
        "namespace": st.sampled_from(list(WORKSPACES)),
        "event_subject": st.sampled_from(["applications", "things"]),
        "event_verb": st.sampled_from(["create", "configure-pac"]),
        "properties": objects.map(json.dumps),
        "context": objects.map(json.dumps),
    },
    optional={"userId": st.sampled_from(list(IDS))},
)
rows = st.one_of(
    st.fixed_dictionaries({"result": likely, "preview": st.just(False)}),
    st.fixed_dictionaries({"result": results}),
    st.fixed_dictionaries({"result": values}),
    values,
)
lines = st.one_of(
    rows.map(json.dumps),
    rows.map(lambda row: json.dumps(row, ensure_ascii=False)),
    st.sampled_from(["{", "}", '{"result":', "\x00", "nul", '{"result":{}} {}']),
)


@settings(max_examples=60)
@given(st.lists(lines, min_size=2, max_size=8))
def test_the_fast_transformation_is_the_plain_one(given_lines: list[str]):
    rejected: list[bytes] = []
    work = Transform(IDS, WORKSPACES, lambda line, _reason: rejected.append(line))

    found = work.events([line.encode() for line in given_lines])

    expected, dropped = [], []
    for row in (row for line in given_lines for row in rows_of(line)):
        try:
            expected.append(plain(row, IDS, WORKSPACES))
        except Dropped as reason:
            dropped.append(MALFORMED if str(reason) == "error" else str(reason))
    assert [json.dumps(orjson.loads(body)) for _, _, body in found] == [
        json.dumps(event) for event in expected
    ]
    assert [list(orjson.loads(body)) for _, _, body in found] == [list(event) for event in expected]
    assert dict(work.dropped) == {reason: dropped.count(reason) for reason in set(dropped)}
    assert len(rejected) == dropped.count(MALFORMED)
    assert all(b"\n" not in body for _, _, body in found)
    assert work.rows == len(found) + len(dropped)
