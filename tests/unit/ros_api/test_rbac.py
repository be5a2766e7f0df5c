from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace_services.ros_api.rbac import EVERYTHING, Access, access_of

values = st.one_of(st.none(), st.integers(), st.text(max_size=4), st.lists(st.text(max_size=4), max_size=3))


def entry(permission: Any, *wanted: Any) -> dict[str, Any]:
    definitions = [{"attributeFilter": {"value": value}} for value in wanted]
    return {"permission": permission, "resourceDefinitions": definitions}


@pytest.mark.parametrize(
    ("entries", "access"),
    [
        ([], None),
        ([entry("cost-management:*:*")], EVERYTHING),
        ([entry("cost-management:openshift.cluster:read:extra")], EVERYTHING),
        ([entry("cost-management:openshift.cluster:*", "ABC")], Access(clusters=frozenset({"abc"}))),
        (
            [entry("cost-management:openshift.project:read", ["a", 5, None])],
            Access(projects=frozenset({"a", "5"})),
        ),
        ([entry("cost-management:openshift.project:read", "*")], EVERYTHING),
        ([entry("openshift")], None),
        ([entry("cost-management:openshift.virtual:read")], None),
        ([entry("cost-management:openshift.node:read", "n1")], None),
        ([entry("cost-management:openshift.node:read", "*")], EVERYTHING),
        (
            [{"permission": "a:openshift.cluster:read", "resourceDefinitions": "x"}],
            Access(clusters=frozenset()),
        ),
        (
            [{"permission": "a:openshift.cluster:read", "resourceDefinitions": [3]}],
            Access(clusters=frozenset()),
        ),
    ],
)
def test_entries_together_say_what_may_be_seen(entries: list[Any], access: Access | None):
    assert access_of(entries) == access


@given(
    st.lists(
        st.tuples(st.sampled_from(["cluster", "project", "node"]), st.lists(values, min_size=1, max_size=3))
    )
)
def test_named_resources_never_grant_all_of_them(granted: list[tuple[str, list[Any]]]):
    entries = [entry(f"cost-management:openshift.{kind}:read", *wanted) for kind, wanted in granted]
    access = access_of(entries)
    kinds = {kind for kind, _ in granted}
    named = [value for _, wanted in granted for value in wanted if "*" not in str(value)]
    if len(named) < sum(len(wanted) for _, wanted in granted):
        return
    if access is None:
        assert not kinds & {"cluster", "project"}
        return
    assert ("cluster" in kinds) == (access.clusters is not None)
    assert ("project" in kinds) == (access.projects is not None)
