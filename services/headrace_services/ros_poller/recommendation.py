"""A recommendation of Kruize for one time, with the fields and the JSON of upstream's structs.

Source: RedHatInsights/ros-ocp-backend, internal/types/kruizePayload/common.go.
"""

from datetime import UTC, datetime
from typing import Annotated, Any, Final

from pydantic import AwareDatetime, BeforeValidator, Field

from headrace.contracts.message import Part, rfc3339_nano
from headrace.ros.amounts import plain

# Go's zero time, which means "unknown" in columns without null.
NO_TIME: Final = datetime(1, 1, 1, tzinfo=UTC)

Amount = Annotated[float, Field(strict=True, allow_inf_nan=False)]
# Only texts are accepted, because a number would count as seconds since 1970.
Moment = Annotated[AwareDatetime, BeforeValidator(lambda value: datetime.fromisoformat(str(value)))]


class _Struct(Part):
    """A struct of which every field is ``omitempty`` in Go.

    `written` omits 0, empty texts, empty maps and null, but never structs and times. Undeclared fields are not stored.
    """


class Notification(_Struct):
    """A notification of a recommendation."""

    type: str = ""
    message: str = ""
    code: int = 0


Notifications = dict[str, Notification]


class Quantity(_Struct):
    """An amount of a resource, with its unit."""

    amount: Amount = 0.0
    format: str = ""


class Resources(_Struct):
    """The requested amounts, or the limits."""

    cpu: Quantity = Quantity()
    memory: Quantity = Quantity()


class Config(_Struct):
    """The requests and limits: current, recommended, or the difference."""

    limits: Resources = Resources()
    requests: Resources = Resources()


class Engine(_Struct):
    """The recommendation of one engine."""

    config: Config = Config()
    variation: Config = Config()
    notifications: Notifications = Field(default_factory=dict)


class Engines(_Struct):
    """The recommendations of both engines."""

    cost: Engine = Engine()
    performance: Engine = Engine()


class Usage(_Struct):
    """The box plot of a resource's usage."""

    min: Amount = 0.0
    q1: Amount = 0.0
    median: Amount = 0.0
    q3: Amount = 0.0
    max: Amount = 0.0
    format: str = ""


class Point(_Struct):
    """The box plots of one part of a term."""

    cpuUsage: Usage | None = None  # noqa: N815 -- the wire's name
    memoryUsage: Usage | None = None  # noqa: N815 -- the wire's name


class Plots(_Struct):
    """The box plots of a term, by the end of each part."""

    datapoints: int = 0
    plots_data: dict[str, Point] = Field(default_factory=dict)


class Term(_Struct):
    """The recommendation from one span of usage; it has no engines if there is too little data."""

    duration_in_hours: Amount = 0.0
    notifications: Notifications = Field(default_factory=dict)
    monitoring_start_time: Moment = NO_TIME
    recommendation_engines: Engines | None = None
    plots: Plots | None = None


class Terms(_Struct):
    """The recommendations from every span."""

    short_term: Term = Term()
    medium_term: Term = Term()
    long_term: Term = Term()


class Recommendation(_Struct):
    """The whole recommendation for one time."""

    notifications: Notifications = Field(default_factory=dict)
    monitoring_end_time: Moment
    current: Config = Config()
    recommendation_terms: Terms = Terms()

    def written(self) -> dict[str, Any]:
        """Return the JSON as Go encodes it."""
        return _fields(self)


def _fields(struct: _Struct) -> dict[str, Any]:
    # Structs and times are always true.
    return {name: _written(value) for name, value in vars(struct).items() if value}


def _written(value: Any) -> Any:
    if isinstance(value, _Struct):
        return _fields(value)
    if isinstance(value, dict):
        return {name: _written(item) for name, item in value.items()}
    if isinstance(value, float):
        return plain(value)
    if isinstance(value, datetime):
        return rfc3339_nano(value)
    return value
