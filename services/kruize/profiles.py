"""Performance profiles: which metrics there are. Their queries are kept, not evaluated."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

import asyncpg

from services.kruize.answers import JSON_ERROR, Refused
from services.kruize.experiments import check_name
from services.kruize.store import ProfileStore

MISSING: Final = "Not Found: performance_profile does not exist: "
_VIEW: Final = " View Performance Profiles at /listPerformanceProfiles"
_MAX_VERSION: Final = 1e9


class Profiles:
    """Answers about profiles; each method returns the message of its success and raises `Refused`."""

    def __init__(self, store: ProfileStore) -> None:
        self._store = store

    async def listed(self) -> list[dict[str, Any]]:
        """Every profile, its aggregation functions by name."""
        return [_shown(profile) for profile in await self._store.all()]

    async def create(self, body: Any) -> str:
        """Keep a new one."""
        name, version = _checked(body)
        if not await self._store.create(name, version, body):
            raise Refused(
                f"Validation failed: Performance Profile already exists: {name}", HTTPStatus.CONFLICT
            )
        return f"Performance Profile : {name} created successfully.{_VIEW}"

    async def update(self, body: Any) -> str:
        """Replace one by one that has at least its metrics."""
        name, version = _checked(body)
        existing = await self._store.find(name)
        if existing is None:
            raise Refused(
                f"Performance Profile '{name}' not found. Use POST to create a new profile.",
                HTTPStatus.NOT_FOUND,
            )
        was = float(existing["profile_version"])
        if version == was or not await self._update(body, existing, name, version, was):
            raise Refused(
                f"Performance profile '{name}' already updated with the version {version:.1f}",
                HTTPStatus.CONFLICT,
            )
        return f"Performance Profile '{name}' updated successfully to version {version:.1f}.{_VIEW}"

    async def _update(
        self, body: dict[str, Any], existing: dict[str, Any], name: str, version: float, was: float
    ) -> bool:
        if body["slo"] == existing["slo"]:
            raise Refused(
                f"Performance profile '{name}' already updated with the provided SLO data",
                HTTPStatus.CONFLICT,
            )
        if not _measured(existing) <= _measured(body):
            raise Refused("Updated profile must be a superset of existing data", HTTPStatus.CONFLICT)
        return await self._store.update(name, version, body, was=was)

    async def delete(self, name: str | None) -> str:
        """Remove one that no experiment uses."""
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
        return f"Performance profile: {name} deleted successfully.{_VIEW}"


def _checked(body: Any) -> tuple[str, float]:
    if not isinstance(body, dict):
        raise Refused(JSON_ERROR)
    name, version, slo = body.get("name"), body.get("profile_version"), body.get("slo")
    missing = [key for key in ("name", "profile_version", "slo") if body.get(key) in (None, "")]
    if not missing and isinstance(slo, dict):
        missing = _missing_in_slo(slo)
    if missing:
        raise Refused(f"Validation failed: Missing mandatory parameters: [{', '.join(missing)}] ")
    if not isinstance(name, str) or not isinstance(slo, dict):
        raise Refused(JSON_ERROR)
    if isinstance(version, bool) or not isinstance(version, int | float) or not 0 <= version < _MAX_VERSION:
        raise Refused("Validation failed: profile_version: expected a number such as 1.0")
    return check_name("name", name), float(version)


def _missing_in_slo(slo: Mapping[str, Any]) -> list[str]:
    missing = [
        key
        for key in ("direction", "objective_function", "function_variables")
        if slo.get(key) in (None, "", [])
    ]
    if missing:
        return missing
    objective, variables = slo["objective_function"], slo["function_variables"]
    if not isinstance(objective, dict) or not isinstance(variables, list):
        raise Refused(JSON_ERROR)
    if not objective.get("function_type"):
        return ["function_type"]
    for variable in variables:
        if missing := _missing_in_variable(variable):
            return missing
    return []


def _missing_in_variable(variable: Any) -> list[str]:
    if not isinstance(variable, dict):
        raise Refused(JSON_ERROR)
    missing = [key for key in ("name", "datasource", "value_type") if not variable.get(key)]
    if missing:
        return missing
    if not isinstance(variable["name"], str):
        raise Refused(JSON_ERROR)
    functions = variable.get("aggregation_functions")
    if not variable.get("query") and not functions:
        raise Refused(
            "Validation failed: One of query or aggregation_functions is mandatory. Both cannot be null!"
        )
    for function in _functions(functions):
        missing = [key for key in ("function", "query") if not function.get(key)]
        if missing:
            return missing
    return []


def _functions(sent: Any) -> list[dict[str, Any]]:
    """Sent as a list; what was shown once, as a map, is taken too."""
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
    return profile | {"slo": profile["slo"] | {"function_variables": variables}}


def _measured(profile: Mapping[str, Any]) -> set[str]:
    return {variable["name"] for variable in profile["slo"]["function_variables"]}
