"""The maps: upstream loses every record without a word when one is missing."""

import pytest

from headrace.runtime.errors import ConfigurationError
from headrace_services.segment_bridge.map_files import ids_of, paired, read_map, read_maps, workspaces_of


def test_both_are_read(tmp_path):
    (tmp_path / "uid").write_text('{"alice":12345678,"bob":"9"}')
    (tmp_path / "ws").write_text('{"alice-tenant":"alice"}')
    maps = read_maps(str(tmp_path / "uid"), str(tmp_path / "ws"), numeric=False)
    assert maps.ids == {"alice": "12345678", "bob": "9"}
    assert maps.workspaces == {"alice-tenant": "alice"}
    assert "alice" not in repr(maps)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "cannot be read: No such file or directory"),
        ("", "is empty, expected a JSON object"),
        ("[]", "contains a list, expected a JSON object"),
        ("{", "is not JSON"),
    ],
)
def test_weak_point_a_missing_map_is_an_error_that_names_the_variable(tmp_path, content, reason):
    if content is not None:
        (tmp_path / "map").write_text(content)
    with pytest.raises(ConfigurationError, match=f"^UID_MAP_FILE: .*{reason}"):
        read_map(tmp_path / "map", "UID_MAP_FILE")


def test_weak_point_the_default_maps_of_upstream_are_an_error():
    with pytest.raises(ConfigurationError, match=r"^WS_MAP_FILE: /dev/null is empty"):
        read_map("/dev/null", "WS_MAP_FILE")
    with pytest.raises(ConfigurationError, match=r"^UID_MAP_FILE: not set"):
        read_map("", "UID_MAP_FILE")


def test_null_and_false_count_as_missing():
    assert ids_of({"alice": None, "bob": False, "carol": 0}, "map", numeric=False) == {"carol": "0"}
    assert workspaces_of({"a": None, "b": "bob"}, "map") == {"b": "bob"}


@pytest.mark.parametrize("empty", [{}, {"alice": None}, {"alice": False, "bob": None}, {"alice": "  "}])
def test_a_map_with_nothing_in_it_is_an_error_that_names_its_variable(empty):
    with pytest.raises(ConfigurationError, match=r"^UID_MAP_FILE: (the map is empty|a value is empty)"):
        ids_of(empty, "UID_MAP_FILE", numeric=False)
    with pytest.raises(ConfigurationError, match=r"^WS_MAP_FILE: (the map is empty|a value is empty)"):
        workspaces_of(empty, "WS_MAP_FILE")


def test_maps_of_two_different_clusters_are_an_error():
    with pytest.raises(ConfigurationError, match="the map of users contains no workspace owner"):
        paired({"alice": "1"}, {"bob-tenant": "bob"})


@pytest.mark.parametrize("value", [True, 1.5, [], {}, ""])
def test_a_value_that_is_no_id_is_an_error_without_a_users_name(value):
    with pytest.raises(ConfigurationError, match=r"^map: a value is ") as raised:
        ids_of({"alice": value}, "map", numeric=False)
    assert "alice" not in str(raised.value)


def test_a_workspace_that_is_no_text_is_an_error():
    with pytest.raises(ConfigurationError, match=r"^map: a value is 7, expected text"):
        workspaces_of({"a": 7}, "map")
