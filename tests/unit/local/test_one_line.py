import json

from hypothesis import given
from hypothesis import strategies as st

from headrace.local.one_line import one_line

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(st.lists(st.dictionaries(st.text(), VALUES, max_size=4), max_size=4), st.sampled_from([None, 0, 2]))
def test_objects_come_out_one_a_line_however_they_are_printed(
    objects: list[dict[str, object]], indent: int | None
) -> None:
    printed = [json.dumps(item, indent=indent) for item in objects]
    lines = list(one_line("\n".join(printed).splitlines(keepends=True)))
    assert [json.loads(line) for line in lines] == objects


def test_other_lines_pass_as_they_are() -> None:
    lines = ["plain", "[INFO] started", "key:{", "", '  {"a": 1}', "1}"]
    assert list(one_line(f"{line}\n" for line in lines)) == lines


def test_what_never_becomes_json_passes_line_by_line() -> None:
    assert list(one_line(["{\n", '  "a": oops\n', "}\n", "more\n"])) == ["{", '  "a": oops', "}", "more"]
