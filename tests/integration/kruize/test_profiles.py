from copy import deepcopy
from typing import Any

import pytest

from tests.integration.kruize.harness import Kruize, profile

pytestmark = pytest.mark.asyncio(loop_scope="module")

NAME = "resource-optimization-openshift"
EXISTS = f"Validation failed: Performance profile '{NAME}' already exists"
VIEW = "View Performance Profiles at /listPerformanceProfiles"


def without(*path: str) -> dict[str, Any]:
    made = profile()
    inner: Any = made
    for key in path[:-1]:
        inner = inner[int(key)] if key.isdigit() else inner[key]
    del inner[path[-1]]
    return made


async def test_there_is_no_profile_until_one_is_created(kruize: Kruize) -> None:
    assert (await kruize.get("/listPerformanceProfiles")).json == []
    created = await kruize.post("/createPerformanceProfile", profile())
    assert created.said == (201, f"Performance Profile : {NAME} created successfully. {VIEW}")
    again = await kruize.post("/createPerformanceProfile", profile())
    assert again.said == (409, f"Validation failed: Performance Profile already exists: {NAME}")


async def test_a_listed_profile_has_its_functions_by_name(kruize: Kruize) -> None:
    await kruize.post("/createPerformanceProfile", profile())
    (shown,) = (await kruize.get("/listPerformanceProfiles")).json
    expected = profile()
    expected["slo"]["sloClass"] = expected["slo"].pop("slo_class")
    for variable in expected["slo"]["function_variables"]:
        variable["aggregation_functions"] = {
            item["function"]: item for item in variable["aggregation_functions"]
        }
    assert shown == expected


NAMES = {
    "slo": "sloInfo",
    "objective_function": "objectiveFunction",
    "function_variables": "functionVariables",
    "value_type": "valueType",
}


async def test_a_profile_of_another_version_is_to_be_updated(kruize: Kruize) -> None:
    await kruize.post("/createPerformanceProfile", profile(1.0))
    assert (await kruize.post("/createPerformanceProfile", profile(2.0))).said == (
        409,
        f"{EXISTS} with a different version. Use the /updatePerformanceProfile API to modify the existing profile.",
    )


async def test_an_incomplete_profile_is_refused(kruize: Kruize) -> None:
    variable = ("slo", "function_variables", "0")
    cases = [
        ("name",),
        ("profile_version",),
        ("slo",),
        ("slo", "direction"),
        ("slo", "objective_function"),
        ("slo", "objective_function", "function_type"),
        ("slo", "function_variables"),
        (*variable, "name"),
        (*variable, "datasource"),
        (*variable, "value_type"),
        (*variable, "aggregation_functions", "0", "function"),
        (*variable, "aggregation_functions", "0", "query"),
    ]
    for method, path in (("POST", "/createPerformanceProfile"), ("PUT", "/updatePerformanceProfile")):
        for case in cases:
            answer = await kruize.call(method, path, without(*case))
            name = NAMES.get(case[-1], case[-1])
            assert answer.said == (400, f"Validation failed: Missing mandatory parameters: [{name}]")
        answer = await kruize.call(method, path, without(*variable, "aggregation_functions"))
        assert answer.said == (
            400,
            "Validation failed: Missing mandatory parameters: [query, aggregation_functions]",
        )
        several = profile() | {"name": "", "slo": None}
        answer = await kruize.call(method, path, several)
        assert answer.said == (400, "Validation failed: Missing mandatory parameters: [name]")
        for body in (b"", b"[]", b"7", b'{"name":'):
            said = (await kruize.call(method, path, body)).said
            assert said == (400, "Failed to parse the JSON. Please check the input payload ")


async def test_an_update_needs_a_new_version_with_more_in_it(kruize: Kruize) -> None:
    async def put(body: dict[str, Any]) -> tuple[int, str]:
        return (await kruize.call("PUT", "/updatePerformanceProfile", body)).said

    old = profile(1.0)
    removed = old["slo"]["function_variables"].pop()
    assert await put(old) == (
        404,
        f"Validation failed: Performance Profile '{NAME}' not found. Use POST to create a new profile.",
    )
    await kruize.post("/createPerformanceProfile", old)
    assert await put(old) == (
        409,
        f"Validation failed: Performance profile '{NAME}' already updated with the version 1.0",
    )
    same = deepcopy(old) | {"profile_version": 2.0}
    assert await put(same) == (
        409,
        f"Validation failed: Performance profile '{NAME}' already updated with the provided SLO data",
    )
    fewer = profile(2.0)
    fewer["slo"]["function_variables"] = [removed]
    assert await put(fewer) == (409, "Validation failed: Updated profile must be a superset of existing data")
    assert await put(profile(2.0)) == (
        200,
        f"Performance Profile '{NAME}' updated successfully to version 2.0. {VIEW}",
    )
    (shown,) = (await kruize.get("/listPerformanceProfiles")).json
    assert shown["profile_version"] == 2.0
    assert len(shown["slo"]["function_variables"]) == len(profile()["slo"]["function_variables"])


async def test_a_profile_that_nobody_uses_can_be_deleted(kruize: Kruize) -> None:
    await kruize.post("/createPerformanceProfile", profile())
    delete = [
        (await kruize.call("DELETE", "/deletePerformanceProfile", **params)).said
        for params in ({}, {"name": " "}, {"name": "mine"}, {"name": NAME}, {"name": NAME})
    ]
    assert delete == [
        (400, "Performance profile name is required."),
        (400, "Performance profile name is required."),
        (400, "Not Found: performance_profile does not exist: mine"),
        (200, f"Performance profile {NAME} deleted successfully. {VIEW}"),
        (400, f"Not Found: performance_profile does not exist: {NAME}"),
    ]


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"k8s_type": "nomad"}, "k8s_typenomad is not supported\n"),
        ({"slo.direction": "sideways"}, "direction  is not supported\n"),
        ({"slo.direction": " "}, "direction  is not supported\n"),
        ({"slo.slo_class": "beauty"}, "slo_class  is not supported\n"),
        ({"slo.slo_class": "throughput"}, "Invalid direction for slo_class\n"),
        (
            {"slo.slo_class": "response_time", "slo.direction": "maximize"},
            "Invalid direction for slo_class\n",
        ),
        (
            {"slo.function_variables.0.datasource": "graphite"},
            "function_variable: cpuRequest datasource  is not supported\n",
        ),
        (
            {"slo.function_variables.0.value_type": "float"},
            "function_variable: cpuRequest value_type  is not supported\n",
        ),
        ({"slo.function_variables.0.kubernetes_object": "node"}, "kubernetes_objectsnode is not supported\n"),
        (
            {"slo.objective_function.function_type": "guess"},
            "Objective function type can only be either expression or source\n",
        ),
        ({"slo.objective_function.function_type": "expression"}, "Expression value is missing or null!\n"),
        (
            {"slo.objective_function.expression": "cpuRequest"},
            "Expression is not allowed when the type is source\n",
        ),
        (
            {"k8s_type": "nomad", "slo.direction": 7},
            "k8s_typenomad is not supported\ndirection  is not supported\n",
        ),
    ],
)
async def test_a_value_that_kruize_does_not_know_is_refused(
    kruize: Kruize, changes: dict[str, Any], text: str
) -> None:
    made = profile(3.0)
    for path, value in changes.items():
        *parents, last = path.split(".")
        inner: Any = made
        for key in parents:
            inner = inner[int(key)] if key.isdigit() else inner[key]
        inner[last] = value
    created = await kruize.post("/createPerformanceProfile", made)
    assert created.said == (400, f"Validation failed: {text}")
    await kruize.post("/createPerformanceProfile", profile(2.0))
    updated = await kruize.call("PUT", "/updatePerformanceProfile", made)
    assert updated.said == (400, f"Validation failed: {text}")
    # That there is one of the name is told first.
    assert (await kruize.post("/createPerformanceProfile", made)).said[0] == 409


async def test_a_profile_may_leave_out_what_has_a_default(kruize: Kruize) -> None:
    made = without("k8s_type")
    del made["slo"]["slo_class"]
    made["slo"]["function_variables"][0] |= {"datasource": "Prometheus", "value_type": "DOUBLE"}
    del made["slo"]["function_variables"][0]["kubernetes_object"]
    assert (await kruize.post("/createPerformanceProfile", made)).said[0] == 201
