import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.runtime.untrusted import Unreadable, check_json, load_json
from tests.calibration import Calibration

TEXTS = st.text(alphabet='ab[]{},:"\\\n\u00e9', max_size=6)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=20,
)


def depth(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inner is None else 1 + max(map(depth, inner), default=0)


def separators(value: Any) -> int:
    """Containers and commas: never fewer than its values but one."""
    inner = list(value.values() if isinstance(value, dict) else value if isinstance(value, list) else ())
    own = max(0, len(inner) - 1) + isinstance(value, dict | list)
    return own + sum(map(separators, inner))


@given(VALUES, st.booleans())
def test_depth_and_values_are_those_of_the_parsed_text(value: Any, escaped: bool):
    text = json.dumps(value, ensure_ascii=escaped).encode()
    deep, many = depth(value), separators(value)
    check_json(text, max_depth=deep, max_values=many + 1)
    assert load_json(text, max_depth=deep, max_values=many + deep + 1) == value
    if deep:
        with pytest.raises(Unreadable, match=f"nested more than {deep - 1} deep"):
            check_json(text, max_depth=deep - 1, max_values=many + deep + 1)
    if many > deep:
        with pytest.raises(Unreadable, match=f"more than {many} values"):
            check_json(text, max_depth=deep, max_values=many)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"[" * 300 + b"]" * 300, "nested more than 64 deep"),
        (b"[" * (1 << 22), "more than 100000 values"),
        (b"[" * 90_000, "nested more than 64 deep"),
        (b'{"a":' * 90_000 + b"1" + b"}" * 90_000, "nested more than 64 deep"),
        (b"[" + b"[]," * (1 << 21) + b"[]]", "more than 100000 values"),
        (b'["' + b'","' * (1 << 21) + b'"]', "more than 100000 values"),
        (b'"' + b"\\" * (1 << 22), "not JSON"),
        (b'"],' * (1 << 20), "not JSON|values|deep"),
        (b"1" * 5000, "not JSON"),
        (b"1" * 10**6, "not JSON"),
        (b"1e999999", "not JSON"),
        (b"\0" * 1000, "not JSON"),
        ("[1]".encode("utf-16"), "not JSON"),
        (b"", "not JSON"),
    ],
)  # fmt: skip
def test_a_hostile_text_is_refused_in_bounded_time_and_not_repeated(text: bytes, reason: str):
    machine = Calibration()
    began = time.process_time()
    with pytest.raises(Unreadable, match=reason) as refused:
        load_json(text)
    used = time.process_time() - began
    assert used < machine.cpu(2.0)
    assert len(str(refused.value)) < 200


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(b"[" + b",".join([b"[" * 290 + b"]" * 290] * 2500) + b"]", id="thousands of deep lists"),
        pytest.param(b"[" + b",".join([b'"\\\\,"'] * 700_000) + b"]", id="escapes beside commas"),
        pytest.param(b'["' + b'\\"' * (8 << 20) + b'"]', id="one string of escaped quotes"),
        pytest.param(b"[" + b",".join([b'{"a":[{}]}'] * 350_000) + b"]", id="objects that a collector walks"),
    ],
)
def test_a_text_within_the_bounds_does_not_hold_everything_up(text: bytes):
    machine = Calibration()
    began = time.process_time()
    load_json(text, max_values=1_500_000, max_depth=300)
    used = time.process_time() - began
    assert used < machine.cpu(1.0)
