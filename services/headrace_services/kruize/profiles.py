"""Performance profiles, which name metrics. Their queries are stored but not evaluated."""

from collections.abc import Collection, Iterator, Mapping
from http import HTTPStatus
from typing import Any, Final

import asyncpg

from headrace_services.kruize.experiments import check_name
from headrace_services.kruize.refusals import JSON_ERROR, Refused, named
from headrace_services.kruize.store import ProfileStore

MISSING: Final = "Not Found: performance_profile does not exist: "
_VIEW: Final = " View Performance Profiles at /listPerformanceProfiles"
_MAX_VERSION: Final = 1e9
_SHOWN_CHARACTERS: Final = 100
# Every variable is searched in it.
_MAX_EXPRESSION_CHARACTERS: Final = 4096
# The required keys, in the order of their check, with their names in errors.
_MANDATORY: Final = {"name": "name", "profile_version": "profile_version", "slo": "sloInfo"}
_MANDATORY_IN_SLO: Final = {
    "direction": "direction",
    "objective_function": "objectiveFunction",
    "function_variables": "functionVariables",
}
_MANDATORY_IN_VARIABLE: Final = {"name": "name", "datasource": "datasource", "value_type": "valueType"}
_MANDATORY_IN_FUNCTION: Final = {"function": "function", "query": "query"}
_MANDATORY_IN_OBJECTIVE: Final = {"function_type": "function_type"}


_K8S_TYPES: Final = frozenset({"minikube", "openshift", "icp"})
_DIRECTIONS: Final = frozenset({"minimize", "maximize"})
# The classes of objectives, with the only valid direction of a class that has one.
_CLASSES: Final = {"throughput": "maximize", "response_time": "minimize", "resource_usage": None}
_KINDS: Final = frozenset({"deployment", "pod", "container", "namespace"})
_DATASOURCES: Final = frozenset({"prometheus"})
_VALUE_TYPES: Final = frozenset({"double", "int", "string", "categorical"})
_UNSUPPORTED: Final = " is not supported\n"


class Profiles:
    """The answers about profiles; each method returns the message of its success and raises `Refused`."""

    def __init__(self, store: ProfileStore) -> None:
        self._store = store

    async def listed(self) -> list[dict[str, Any]]:
        """Return every profile, its aggregation functions by name."""
        return [_shown(profile) for profile in await self._store.all()]

    async def create(self, body: Any) -> str:
        """Store a new profile."""
        name, version = _checked(body)
        unsupported = _unsupported(body)
        if unsupported or not await self._store.create(name, version, body):
            existing = await self._store.find(name)
            if existing is None and unsupported:
                raise _failed(unsupported)
            if existing is not None and float(existing["profile_version"]) != version:
                raise _failed(
                    f"Performance profile '{name}' already exists with a different version. Use the"
                    " /updatePerformanceProfile API to modify the existing profile.",
                    HTTPStatus.CONFLICT,
                )
            raise _failed(f"Performance Profile already exists: {name}", HTTPStatus.CONFLICT)
        return f"Performance Profile : {name} created successfully.{_VIEW}"

    async def update(self, body: Any) -> str:
        """Replace a profile by one that has at least its metrics."""
        name, version = _checked(body)
        existing = await self._store.find(name)
        if existing is None:
            raise _failed(
                f"Performance Profile '{name}' not found. Use POST to create a new profile.",
                HTTPStatus.NOT_FOUND,
            )
        was = float(existing["profile_version"])
        if version == was or not await self._update(body, existing, name, version, was):
            raise _failed(
                f"Performance profile '{name}' already updated with the version {version:.1f}",
                HTTPStatus.CONFLICT,
            )
        return f"Performance Profile '{name}' updated successfully to version {version:.1f}.{_VIEW}"

    async def _update(
        self, body: dict[str, Any], existing: dict[str, Any], name: str, version: float, was: float
    ) -> bool:
        if unsupported := _unsupported(body):
            raise _failed(unsupported)
        if body["slo"] == existing["slo"]:
            raise _failed(
                f"Performance profile '{name}' already updated with the provided SLO data",
                HTTPStatus.CONFLICT,
            )
        if not _measured(existing) <= _measured(body):
            raise _failed("Updated profile must be a superset of existing data", HTTPStatus.CONFLICT)
        return await self._store.update(name, version, body, was=was)

    async def delete(self, name: str | None) -> str:
        """Delete a profile that no experiment uses."""
        if not name or not name.strip():
            raise Refused("Performance profile name is required.")
        users = await self._store.users(name)
        try:
            deleted = not users and await self._store.delete(name)
        except asyncpg.ForeignKeyViolationError:
            deleted, users = False, await self._store.users(name)
        if users:
            raise Refused(
                f"Performance Profile '{name}' cannot be deleted as it is currently associated with"
                f" {users} experiment{'s' if users > 1 else ''}."
            )
        if not deleted:
            raise Refused(f"{MISSING}{name}")
        return f"Performance profile {name} deleted successfully.{_VIEW}"


def _checked(body: Any) -> tuple[str, float]:
    if not isinstance(body, dict):
        raise Refused(JSON_ERROR)
    name, version, slo = body.get("name"), body.get("profile_version"), body.get("slo")
    _check_mandatory(body, _MANDATORY)
    if isinstance(slo, dict):
        _check_slo(slo)
    if not isinstance(name, str) or not isinstance(slo, dict):
        raise Refused(JSON_ERROR)
    if isinstance(version, bool) or not isinstance(version, int | float) or not 0 <= version < _MAX_VERSION:
        raise _failed("profile_version: expected a number such as 1.0")
    return check_name("name", name), float(version)


def _check_slo(slo: Mapping[str, Any]) -> None:
    _check_mandatory(slo, _MANDATORY_IN_SLO)
    objective, variables = slo["objective_function"], slo["function_variables"]
    if not isinstance(objective, dict) or not isinstance(variables, list):
        raise Refused(JSON_ERROR)
    if not all(isinstance(variable, dict) for variable in variables):
        raise Refused(JSON_ERROR)
    for variable in variables:
        _check_mandatory(variable, _MANDATORY_IN_VARIABLE)
        if not isinstance(variable["name"], str):
            raise Refused(JSON_ERROR)
    for variable in variables:
        functions = _functions(variable.get("aggregation_functions"))
        if not variable.get("query") and not functions:
            raise _missing("query", "aggregation_functions")
        for function in functions:
            _check_mandatory(function, _MANDATORY_IN_FUNCTION)
    _check_mandatory(objective, _MANDATORY_IN_OBJECTIVE)


def _unsupported(body: Mapping[str, Any]) -> str:
    """Return everything in a complete profile that Kruize does not support, in upstream's words; empty if nothing."""
    slo = body["slo"]
    return "".join(
        (
            *_unsupported_types(
                body.get("k8s_type"), slo["direction"], slo.get("slo_class", slo.get("sloClass"))
            ),
            *(text for variable in slo["function_variables"] for text in _unsupported_in(variable)),
            *_unsupported_objective(slo["objective_function"], slo["function_variables"]),
        )
    )


def _unsupported_types(k8s_type: Any, direction: Any, slo_class: Any) -> Iterator[str]:
    if k8s_type is not None and not _is_one(k8s_type, _K8S_TYPES):
        yield f"k8s_type{named(k8s_type)}{_UNSUPPORTED}"
    if not _is_one(direction, _DIRECTIONS):
        yield f"direction {_UNSUPPORTED}"
    if slo_class is None:
        return
    if not _is_one(slo_class, _CLASSES):
        yield f"slo_class {_UNSUPPORTED}"
    elif _CLASSES[slo_class] not in (None, direction):
        yield "Invalid direction for slo_class\n"


def _unsupported_in(variable: Mapping[str, Any]) -> Iterator[str]:
    where = f"function_variable: {variable['name'][:_SHOWN_CHARACTERS]}"
    for name, known in (("datasource", _DATASOURCES), ("value_type", _VALUE_TYPES)):
        if not _is_one(variable[name], known, folded=True):
            yield f"{where} {name} {_UNSUPPORTED}"
    kind = variable.get("kubernetes_object")
    if kind is not None and not _is_one(kind, _KINDS, folded=True):
        yield f"kubernetes_objects{named(kind)}{_UNSUPPORTED}"


def _unsupported_objective(objective: Mapping[str, Any], variables: list[Mapping[str, Any]]) -> Iterator[str]:
    kind, expression = objective["function_type"], objective.get("expression")
    if kind == "source":
        if expression is not None:
            yield "Expression is not allowed when the type is source\n"
    elif kind != "expression":
        yield "Objective function type can only be either expression or source\n"
    elif not isinstance(expression, str):
        yield "Expression value is missing or null!\n"
    elif len(expression) > _MAX_EXPRESSION_CHARACTERS:
        yield "objective_function improperly formatted\n"
    else:
        for variable in variables:
            if variable["name"] not in expression:
                yield f"function_variable: {variable['name'][:_SHOWN_CHARACTERS]} missing in objective_function\n"


def _is_one(value: Any, known: Collection[str], *, folded: bool = False) -> bool:
    return isinstance(value, str) and (value.lower() if folded else value) in known


def _check_mandatory(sent: Mapping[str, Any], names: Mapping[str, str]) -> None:
    """Raise `Refused` with the first missing key."""
    for key, name in names.items():
        if sent.get(key) in (None, "", []):
            raise _missing(name)


def _missing(*names: str) -> Refused:
    return _failed(f"Missing mandatory parameters: [{', '.join(names)}]")


def _failed(text: str, status: int = HTTPStatus.BAD_REQUEST) -> Refused:
    return Refused(f"Validation failed: {text}", status)


def _functions(sent: Any) -> list[dict[str, Any]]:
    """Accept functions as a list, or as a map, which is the form of answers."""
    found = list(sent.values()) if isinstance(sent, dict) else sent or []
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        raise Refused(JSON_ERROR)
    return found


def _shown(profile: dict[str, Any]) -> dict[str, Any]:
    variables = [
        variable
        | (
            {
                "aggregation_functions": {
                    str(item["function"]): item for item in _functions(variable["aggregation_functions"])
                }
            }
            if variable.get("aggregation_functions")
            else {}
        )
        for variable in profile["slo"]["function_variables"]
    ]
    slo = {"sloClass" if name == "slo_class" else name: value for name, value in profile["slo"].items()}
    return profile | {"slo": slo | {"function_variables": variables}}


def _measured(profile: Mapping[str, Any]) -> set[str]:
    return {variable["name"] for variable in profile["slo"]["function_variables"]}
