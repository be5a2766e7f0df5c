"""A recommendation of Kruize for one moment: what upstream's structs hold of it, and how they write it.

Source: RedHatInsights/ros-ocp-backend, internal/types/kruizePayload/common.go.
"""

from datetime import UTC, datetime
from typing import Annotated, Any, Final

from pydantic import AwareDatetime, BeforeValidator, Field

from headrace.contracts.message import Part, rfc3339_nano
from headrace.ros.amounts import plain

# Go's zero, which stands for "not known" where a time may not be null.
NO_TIME: Final = datetime(1, 1, 1, tzinfo=UTC)

Amount = Annotated[float, Field(strict=True, allow_inf_nan=False)]
# Text alone: a number would be taken for seconds since 1970.
Moment = Annotated[AwareDatetime, BeforeValidator(lambda value: datetime.fromisoformat(str(value)))]


class _Struct(Part):
    """A struct of which every field is ``omitempty``.

    `written` leaves out what is 0, an empty text, an empty map or null; structs and times are there whatever they
    hold. Fields that are not declared are not stored.
    """


class Notification(_Struct):
    """What Kruize says of a recommendation."""

    type: str = ""
    message: str = ""
    code: int = 0


Notifications = dict[str, Notification]


class Quantity(_Struct):
    """An amount of a resource."""

    amount: Amount = 0.0
    format: str = ""


class Resources(_Struct):
    """What is requested, or the limit."""

    cpu: Quantity = Quantity()
    memory: Quantity = Quantity()


class Config(_Struct):
    """Both of them: as they are, as they are recommended, or the difference."""

    limits: Resources = Resources()
    requests: Resources = Resources()


class Engine(_Struct):
    """One engine's advice."""

    config: Config = Config()
    variation: Config = Config()
    notifications: Notifications = Field(default_factory=dict)


class Engines(_Struct):
    """That of both."""

    cost: Engine = Engine()
    performance: Engine = Engine()


class Usage(_Struct):
    """The box plot of a resource."""

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
    """The advice from the usage of one span; without engines where there is not enough data."""

    duration_in_hours: Amount = 0.0
    notifications: Notifications = Field(default_factory=dict)
    monitoring_start_time: Moment = NO_TIME
    recommendation_engines: Engines | None = None
    plots: Plots | None = None


class Terms(_Struct):
    """That of every span."""

    short_term: Term = Term()
    medium_term: Term = Term()
    long_term: Term = Term()


class Recommendation(_Struct):
    """All of one moment."""

    notifications: Notifications = Field(default_factory=dict)
    monitoring_end_time: Moment
    current: Config = Config()
    recommendation_terms: Terms = Terms()

    def written(self) -> dict[str, Any]:
        """The JSON that Go writes of it."""
        return _fields(self)


def _fields(struct: _Struct) -> dict[str, Any]:
    # No struct and no time is false.
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
