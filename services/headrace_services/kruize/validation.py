"""The checks of one record of ``/updateResults``, in their order; the first that fails is the record's error."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Final

from headrace.contracts.kruize import (
    ACCELERATOR_CORE_USAGE,
    ACCELERATOR_FRAME_BUFFER_USAGE,
    ACCELERATOR_MEMORY_USAGE,
    CPU_USAGE,
    MAX_DATE,
    MEMORY_RSS,
    MEMORY_USAGE,
    NAMESPACE_CPU_USAGE,
    NAMESPACE_MAX_DATE,
    NAMESPACE_MEMORY_RSS,
    NAMESPACE_MEMORY_USAGE,
    VALUES,
)
from headrace.contracts.message import utc_now
from headrace.contracts.ros import ExperimentType
from headrace_services.kruize import packing
from headrace_services.kruize.experiments import MAX_NAME_BYTES, SEVERAL_OBJECTS, Experiment
from headrace_services.kruize.parameters import parse_moment
from headrace_services.kruize.refusals import BAD_TIMESTAMP, NO_EXPERIMENT
from headrace_services.kruize.series import METRICS, UNITS

_MANDATORY: Final = (
    "version",
    "experiment_name",
    "interval_start_time",
    "interval_end_time",
    "kubernetes_objects",
)
_TOLERANCE_SECONDS: Final = 30
_OLDEST: Final = datetime(2000, 1, 1, tzinfo=UTC)
_AHEAD: Final = timedelta(days=366)

_REQUIRED: Final[dict[ExperimentType, tuple[str, ...]]] = {
    "container": (CPU_USAGE.name, MEMORY_USAGE.name, MEMORY_RSS.name),
    "namespace": (NAMESPACE_CPU_USAGE.name, NAMESPACE_MEMORY_USAGE.name, NAMESPACE_MEMORY_RSS.name),
}
_POSITIONS: Final = {
    kind: {metric.name: number for number, metric in enumerate(metrics)} for kind, metrics in METRICS.items()
}
_WITHOUT_UNIT: Final = frozenset(
    metric.name for metrics in METRICS.values() for metric in metrics if not metric.unit
)
# Known names that recommendations of this profile do not use.
_UNREAD: Final = frozenset(
    {
        NAMESPACE_MAX_DATE,
        MAX_DATE,
        ACCELERATOR_CORE_USAGE,
        ACCELERATOR_MEMORY_USAGE,
        ACCELERATOR_FRAME_BUFFER_USAGE,
    }
)
_NAMES: Final = [name for positions in _POSITIONS.values() for name in positions] + sorted(_UNREAD)
# Each name may occur twice; the later one counts.
_MAX_METRICS: Final = 2 * len(_NAMES)
_UNIT_CODES: Final = {unit: code for code, unit in enumerate(UNITS) if unit}

_BAD_METRIC: Final = f"Metric variable name should be among these values: [{', '.join(_NAMES)}]"
_BAD_UNIT: Final = f"Format value should be among these values: [{', '.join(_UNIT_CODES)}]"
_NOT_NUMERIC: Final = "Invalid value type for aggregation_info objects. Expected a numeric value (Double)."


class BadRecord(Exception):
    """The record is refused; the text says why."""


@dataclass(frozen=True, slots=True)
class Measured:
    """The measurements of one container (or the namespace) in a record."""

    name: str
    image: str | None
    packed: bytes


@dataclass(frozen=True, slots=True)
class Record:
    """A valid record."""

    experiment: Experiment
    start: datetime
    end: datetime
    containers: tuple[Measured, ...]


def checked(sent: Mapping[str, Any], experiments: Mapping[str, Experiment], *, max_containers: int) -> Record:
    """Check a record against its experiment, one of ``experiments`` by name. Raises `BadRecord`."""
    kubernetes_object = _envelope(sent)
    start, end = _moment(sent, "interval_start_time"), _moment(sent, "interval_end_time")
    if start >= end:
        raise BadRecord("The Start time should precede the End time!")
    if not _OLDEST <= end <= utc_now() + _AHEAD:
        raise BadRecord(f"interval_end_time: expected one from {_OLDEST:%Y} to a year ahead")
    name = sent["experiment_name"]
    experiment = experiments.get(name) if isinstance(name, str) else None
    if experiment is None:
        raise BadRecord(f"{NO_EXPERIMENT}{str(name)[:MAX_NAME_BYTES]}")
    version = str(sent["version"])
    if version != experiment.version:
        raise BadRecord(
            f"Version number mismatch found. Expected: {experiment.version} , Found: {version[:100]}"
        )
    times = packing.milliseconds(start), packing.milliseconds(end)
    if experiment.experiment_type == "container":
        containers = _containers(kubernetes_object, experiment, times, max_containers)
    else:
        containers = (_namespace(kubernetes_object, experiment, times),)
    if abs((end - start).total_seconds() - experiment.measurement_seconds) > _TOLERANCE_SECONDS:
        raise BadRecord(
            "Interval duration cannot be less than or greater than measurement_duration by more than"
            f" {_TOLERANCE_SECONDS} seconds"
        )
    _check_object(kubernetes_object, experiment)
    return Record(experiment, start, end, containers)


def _envelope(sent: Mapping[str, Any]) -> Mapping[str, Any]:
    missing = [name for name in _MANDATORY if sent.get(name) is None or sent[name] == ""]
    if missing:
        raise BadRecord(" , ".join(f"{name}: must not be null" for name in missing))
    objects = sent["kubernetes_objects"]
    if not isinstance(objects, list) or len(objects) != 1:
        raise BadRecord(f"kubernetes_objects: {SEVERAL_OBJECTS}")
    if not isinstance(objects[0], dict):
        raise BadRecord("kubernetes_objects: expected an object")
    return objects[0]


def _moment(sent: Mapping[str, Any], name: str) -> datetime:
    text = sent[name]
    try:
        return _parsed(text if isinstance(text, str) else str(text)[:100])
    except ValueError:
        raise BadRecord(f"{name}: {BAD_TIMESTAMP.format(str(text)[:100])}") from None


# All workloads of a cluster send the same intervals.
@lru_cache(maxsize=8192)
def _parsed(text: str) -> datetime:
    return parse_moment(text)


def _containers(
    kubernetes_object: Mapping[str, Any], experiment: Experiment, times: tuple[int, int], max_containers: int
) -> tuple[Measured, ...]:
    sent = kubernetes_object.get("containers")
    if not sent and kubernetes_object.get("namespaces") is not None:
        _check_object(kubernetes_object, experiment)
    if not sent or not isinstance(sent, list):
        raise BadRecord(
            f"Metric data is not present for container : null for experiment: {experiment.experiment_name}. "
        )
    if len(sent) > max_containers:
        raise BadRecord(f"containers: got {len(sent)}, expected at most {max_containers}")
    if silent := [item["container_name"] for item in sent if _is_silent(item)]:
        raise BadRecord(", ".join(_no_metrics(f"container : {name}", experiment) for name in silent))
    found: dict[str, Measured] = {}
    for item in sent:
        name = item.get("container_name") if isinstance(item, dict) else None
        if not isinstance(name, str) or not name.strip():
            raise BadRecord("container_name cannot be null or blank")
        if len(name.encode()) > MAX_NAME_BYTES:
            raise BadRecord(f"container_name: expected at most {MAX_NAME_BYTES} bytes")
        image = item.get("container_image_name")
        # Two entries of one name are two images of a container; the later one counts, as in upstream's map by name.
        found[name] = Measured(
            name,
            image if isinstance(image, str) else None,
            _measurements(item.get("metrics"), experiment, f"container : {name}", times),
        )
    return tuple(found.values())


def _namespace(
    kubernetes_object: Mapping[str, Any], experiment: Experiment, times: tuple[int, int]
) -> Measured:
    sent = kubernetes_object.get("namespaces")
    if not isinstance(sent, dict):
        raise BadRecord(
            "Expected namespace-level results, but found type, name, and namespace for experiment:"
            f" {experiment.experiment_name}."
        )
    name = sent.get("namespace")
    packed = _measurements(sent.get("metrics"), experiment, f"namespace : {_java(name)}", times)
    if name != experiment.namespace:
        raise BadRecord(_mismatch("Namespaces", "Namespace", experiment.namespace, name, experiment))
    return Measured(str(experiment.namespace), None, packed)


def _is_silent(item: Any) -> bool:
    """Return whether it is a container with a name and no metrics."""
    if not isinstance(item, dict) or item.get("metrics"):
        return False
    name = item.get("container_name")
    return isinstance(name, str) and bool(name.strip()) and len(name.encode()) <= MAX_NAME_BYTES


def _no_metrics(of: str, experiment: Experiment) -> str:
    return f"Metric data is not present for {of} for experiment: {experiment.experiment_name}. "


def _measurements(metrics: Any, experiment: Experiment, of: str, times: tuple[int, int]) -> bytes:
    where = f" for {of} for experiment: {experiment.experiment_name}."
    if not metrics or not isinstance(metrics, list):
        raise BadRecord(_no_metrics(of, experiment))
    if len(metrics) > _MAX_METRICS:
        raise BadRecord(f"metrics: got {len(metrics)}, expected at most {_MAX_METRICS}{where}")
    kind = experiment.experiment_type
    positions = _POSITIONS[kind]
    values = [math.nan] * (len(positions) * len(VALUES))
    units = [0] * len(positions)
    names = set()
    for metric in metrics:
        name = metric.get("name") if isinstance(metric, dict) else None
        if not isinstance(name, str) or (name not in positions and name not in _NAMES):
            raise BadRecord(_BAD_METRIC + where)
        numbers, unit = _numbers(metric.get("results"), name, where)
        names.add(name)
        position = positions.get(name)
        if position is not None:
            at = position * len(VALUES)
            values[at : at + len(VALUES)] = numbers
            units[position] = unit
    if not names.issuperset(_REQUIRED[kind]):
        raise BadRecord(
            "Missing one of the following mandatory parameters for experiment -"
            f" {experiment.experiment_name} : [{', '.join(_REQUIRED[kind])}]"
        )
    return packing.body(kind, *times, values, units)


def _numbers(results: Any, name: str, where: str) -> tuple[list[float], int]:
    info = results.get("aggregation_info") if isinstance(results, dict) else None
    if not isinstance(info, dict):
        raise BadRecord(f"aggregation_info is not present for the metric variable: {name}{where}")
    numbers = []
    for value in VALUES:
        sent = info.get(value)
        if sent is None:
            numbers.append(math.nan)
            continue
        number = sent if type(sent) is float else _number(sent, where)
        # The negation is also true for NaN.
        if not 0.0 <= number < math.inf:
            raise BadRecord(f"{value} cannot be negative or blank for the metric variable: {name}{where}")
        numbers.append(number + 0.0)
    unit = info.get("format")
    code = _UNIT_CODES.get(unit) if isinstance(unit, str) else None
    if code is None and name not in _WITHOUT_UNIT:
        raise BadRecord(_BAD_UNIT + where)
    return numbers, code or 0


def _number(sent: Any, where: str) -> float:
    """Return a number or the number in a text; NaN for a blank text."""
    if type(sent) is str:
        # float() accepts underscores and non-ASCII digits, which senders do not intend.
        if sent.isascii() and "_" not in sent:
            try:
                return float(sent)
            except ValueError:
                if not sent.strip():
                    return math.nan
    elif type(sent) is int:
        return float(sent)
    raise BadRecord(_NOT_NUMERIC + where)


def _check_object(kubernetes_object: Mapping[str, Any], experiment: Experiment) -> None:
    if experiment.experiment_type == "namespace":
        return
    expected = (
        ("Types", "Type", "type", experiment.object_type),
        ("Names", "Name", "name", experiment.object_name),
        ("Namespaces", "Namespace", "namespace", experiment.namespace),
    )
    errors = []
    for plural, singular, key, wanted in expected:
        got = kubernetes_object.get(key)
        same = got == wanted or (
            key == "type" and isinstance(got, str) and got.lower() == str(wanted).lower()
        )
        if not same:
            errors.append(_mismatch(plural, singular, wanted, got, experiment))
    if errors:
        raise BadRecord(" ".join(errors))


def _mismatch(plural: str, singular: str, wanted: Any, got: Any, experiment: Experiment) -> str:
    return (
        f"Kubernetes Object {plural} MisMatched. Expected {singular}: {wanted}, Found: {_java(got)}"
        f" in Results for experiment: {experiment.experiment_name}"
    )


def _java(value: Any) -> str:
    """Return the value as Java's string conversion writes it, shortened."""
    return "null" if value is None else str(value)[:300]
