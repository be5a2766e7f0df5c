"""The columns of stored recommendations that are named after Kruize's resources, terms and engines.

Source: RedHatInsights/ros-ocp-backend, migrations.
"""

from typing import Final

from headrace.contracts.kruize import ENGINES, RESOURCES, TERMS, Resource, short_name


def percentage_column(resource: Resource, term: str, engine: str) -> str:
    """Return the column of the recommended change of a request, in percent of the current request."""
    return f"{resource}_variation_{short_name(term)}_{engine}_pct"


CURRENT_COLUMNS: Final = ("cpu_request_current", "memory_request_current")
PERCENTAGE_COLUMNS: Final = tuple(
    percentage_column(resource, term, engine)
    for resource in RESOURCES
    for term in TERMS
    for engine in ENGINES
)
