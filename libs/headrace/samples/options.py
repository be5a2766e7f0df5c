from dataclasses import dataclass

from headrace.installations.origin import Origin
from headrace.runtime.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class SampleOptions(Origin):
    """The inputs of a sample; ``clusters``, ``workloads`` and ``days`` (before ``now``) scale the cost archives."""

    clusters: int = 1
    workloads: int = 8
    days: int = 1

    def __post_init__(self) -> None:
        for name in ("clusters", "workloads", "days"):
            if (value := getattr(self, name)) < 1:
                raise ConfigurationError(f"{name} is {value}; expected at least 1")
        # A dataclass with slots is another class than the one in which this method is compiled, so super() fails.
        Origin.__post_init__(self)
