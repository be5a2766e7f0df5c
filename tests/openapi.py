"""Made-up requests to a running service, each answer held against the document that the service serves."""

from collections.abc import Callable, Sequence
from typing import Any

import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import Case


def check_all(
    document: dict[str, Any],
    url: str,
    headers: dict[str, str],
    *,
    not_checked: Sequence[Callable[..., Any]],
    examples: int,
    known: dict[str, Any] | None = None,
) -> list[dict[str, Any]]:
    """Check every operation; returns them, as the document has them.

    ``known`` path parameters stand in for made-up ones most of the time, or nothing but refusals would be seen.
    """
    schema = schemathesis.openapi.from_dict(document)
    schema.config.update(base_url=url)
    known = known or {}
    left_out = st.sets(st.sampled_from(sorted(known))) if known else st.just(set())
    checked = []
    for found in schema.get_all_operations():
        operation = found.ok()
        checked.append(operation.definition.raw)

        @settings(
            max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck)
        )
        @given(case=operation.as_strategy(), made_up=left_out)
        def check(case: Case, made_up: set[str]) -> None:
            for name in case.path_parameters or {}:
                if name in known and name not in made_up:
                    case.path_parameters[name] = known[name]
            response = case.call(headers=headers, timeout=60)
            case.validate_response(response, excluded_checks=not_checked)

        check()
    return checked
