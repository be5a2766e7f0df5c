"""Experiments: the bodies that create them, and their form in answers."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import orjson

from headrace.contracts.kruize import MEASUREMENT_MINUTES, timestamp
from headrace.contracts.ros import ExperimentType
from headrace_services.kruize.refusals import JSON_ERROR, Refused, named
from headrace_services.kruize.tuning import check_settings

REGISTERED: Final = "Registered successfully with Kruize! View registered experiments at /listExperiments"
SEVERAL_OBJECTS: Final = "Bulk Kubernetes objects are currently unsupported!"
# Names are in indexes, whose entries PostgreSQL limits.
MAX_NAME_BYTES: Final = 1024

_SEVERAL: Final = "At present, the system does not support bulk entries!"
_MANDATORY: Final = (
    "version",
    "experiment_name",
    "cluster_name",
    "mode",
    "target_cluster",
    "kubernetes_objects",
)
_KINDS: Final[dict[str, ExperimentType]] = {"container": "container", "namespace": "namespace"}
_OBJECT_TYPES: Final = frozenset(
    {
        "deployment",
        "deploymentconfig",
        "statefulset",
        "replicaset",
        "replicationcontroller",
        "daemonset",
        "job",
    }
)
_MANDATORY_SETTINGS: Final = ("trial_settings", "recommendation_settings")
_MODES: Final = frozenset({"monitor", "experiment", "auto", "recreate"})
_TARGETS: Final = frozenset({"remote", "local"})
_DURATION: Final = re.compile(r"\s*([0-9]{1,6})\s*([a-z]*)\s*")
_SECONDS: Final = {
    **dict.fromkeys(("", "m", "min", "mins", "minute", "minutes"), 60),
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), 3600),
}
_THRESHOLD_PERCENT: Final = 0.1


@dataclass(frozen=True)
class Definition:
    """An experiment as it was sent. ``containers``: image by name; for a namespace experiment its only namespace."""

    experiment_name: str
    experiment_id: str
    version: str
    cluster_name: str
    experiment_type: ExperimentType
    mode: str
    target_cluster: str
    performance_profile: str | None
    object_type: str | None
    object_name: str | None
    namespace: str | None
    settings: Mapping[str, Any]
    containers: Mapping[str, str | None]

    @property
    def measurement_seconds(self) -> int:
        """The intended length of an interval."""
        return measurement_seconds(self.settings.get("trial_settings"))

    @property
    def threshold_percent(self) -> float:
        """The threshold below which a change is ignored."""
        settings = self.settings.get("recommendation_settings")
        try:
            threshold = float((settings or {}).get("threshold"))  # type: ignore[arg-type]
        except (TypeError, ValueError, AttributeError):
            return _THRESHOLD_PERCENT
        return threshold if 0 < threshold < float("inf") else _THRESHOLD_PERCENT


@dataclass(frozen=True)
class Experiment(Definition):
    """A stored experiment. ``numbers`` are the containers' numbers, by name; ``updated_at`` changes with results."""

    id: int = 0
    created_at: datetime | None = None
    updated_at: datetime | None = None
    numbers: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Wanted:
    """A selection of experiments; None selects any. ``containers``: image by name, all of which must exist."""

    cluster_name: str | None = None
    object_type: str | None = None
    object_name: str | None = None
    namespace: str | None = None
    containers: Mapping[str, str | None] = field(default_factory=dict)


EVERYTHING: Final = Wanted()


def wanted(body: Any) -> Wanted:
    """Read a body of ``GET /listExperiments``; raises `Refused`."""
    if not isinstance(body, dict):
        raise Refused(JSON_ERROR)
    sent = _object(body["kubernetes_objects"]) if body.get("kubernetes_objects") else {}
    whole = sent.get("namespaces")
    return Wanted(
        cluster_name=_text(body, "cluster_name"),
        object_type=_text(sent, "type"),
        object_name=_text(sent, "name"),
        namespace=_text(whole if isinstance(whole, dict) else sent, "namespace"),
        containers={
            _name(item, "container_name"): _text(item, "container_image_name") for item in _containers(sent)
        },
    )


def created(body: Any) -> Definition:
    """Read a body of ``POST /createExperiment``; raises `Refused`."""
    sent = only_one(body)
    kind = _kind(sent.get("experiment_type"))
    missing = [name for name in _MANDATORY if _is_blank(sent.get(name))]
    kubernetes_object = {} if "kubernetes_objects" in missing else _object(sent["kubernetes_objects"])
    if kubernetes_object:
        _check_kind(kind, kubernetes_object)
    if not missing:
        missing = [name for name in _MANDATORY_SETTINGS if sent.get(name) is None]
    if missing:
        raise Refused(f"Mandatory parameters missing [{', '.join(missing)}] ")
    _check_mode(sent)
    check_settings(sent["recommendation_settings"])
    settings = {name: sent.get(name) for name in ("trial_settings", "recommendation_settings", "slo")}
    measurement_seconds(settings["trial_settings"])
    profile = _text(sent, "performance_profile")
    if profile is not None and settings["slo"] is not None:
        raise Refused("SLO Data and Performance Profile cannot exist simultaneously!")
    if profile is None and settings["slo"] is None:
        raise Refused("No Performance Profile or SLO data is Present!")
    return Definition(
        experiment_name=_name(sent, "experiment_name"),
        experiment_id=hashlib.sha256(orjson.dumps(sent, option=orjson.OPT_SORT_KEYS)).hexdigest(),
        version=_name(sent, "version"),
        cluster_name=_name(sent, "cluster_name"),
        experiment_type=kind,
        mode=_name(sent, "mode"),
        target_cluster=_name(sent, "target_cluster"),
        performance_profile=profile,
        settings=settings,
        **(_workload(kubernetes_object) if kind == "container" else _namespace(kubernetes_object)),
    )


def only_one(body: Any) -> dict[str, Any]:
    """Return the only object of an array; raises `Refused`."""
    if not isinstance(body, list) or any(not isinstance(item, dict) for item in body):
        raise Refused(JSON_ERROR)
    if len(body) != 1:
        raise Refused(_SEVERAL)
    found: dict[str, Any] = body[0]
    return found


def measurement_seconds(trial_settings: Any) -> int:
    """Return ``{"measurement_duration": "15min"}``, which is also the default, in seconds; raises `Refused`."""
    if trial_settings is None:
        return MEASUREMENT_MINUTES * 60
    text = trial_settings.get("measurement_duration", "15") if isinstance(trial_settings, dict) else ""
    found = _DURATION.fullmatch(str(text).lower())
    if not found or found[2] not in _SECONDS or not int(found[1]):
        raise Refused(f"measurement_duration: got {named(text)!r}, expected minutes such as 15min")
    return int(found[1]) * _SECONDS[found[2]]


def shown(
    experiment: Experiment, containers: Mapping[str, Mapping[str, Any]] | None = None
) -> dict[str, Any]:
    """Return an item of ``/listExperiments``; ``containers`` are the contents of each container besides its name."""
    settings = experiment.settings
    remote, monitoring = experiment.target_cluster == "remote", experiment.mode == "monitor"
    item = {
        "version": experiment.version,
        "experiment_id": experiment.experiment_id,
        "experiment_name": experiment.experiment_name,
        "cluster_name": experiment.cluster_name,
        "experiment_type": experiment.experiment_type,
        "mode": experiment.mode,
        "target_cluster": experiment.target_cluster,
        "status": "IN_PROGRESS",
        "performance_profile": experiment.performance_profile,
        "slo": settings.get("slo"),
        "trial_settings": settings.get("trial_settings")
        or {"measurement_duration": f"{MEASUREMENT_MINUTES}min"},
        "recommendation_settings": settings.get("recommendation_settings"),
        "creation_date": _date(experiment.created_at),
        "update_date": _date(experiment.updated_at),
        "experiment_usecase_type": {
            "remote_monitoring": remote and monitoring,
            "local_monitoring": not remote and monitoring,
            "local_experiment": not remote and not monitoring,
        },
        "validation_data": {"success": True, "message": REGISTERED, "errorCode": 201},
        "kubernetes_objects": [_shown_object(experiment, containers or {})],
    }
    return {name: value for name, value in item.items() if value is not None}


def _shown_object(experiment: Experiment, extra: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    if experiment.experiment_type == "namespace":
        return {
            "namespace": experiment.namespace,
            "containers": {},
            "namespaces": {
                name: {"namespace": name} | dict(extra.get(name, {})) for name in experiment.containers
            },
        }
    return {
        "type": experiment.object_type,
        "name": experiment.object_name,
        "namespace": experiment.namespace,
        "containers": {
            name: ({} if image is None else {"container_image_name": image})
            | {"container_name": name}
            | dict(extra.get(name, {}))
            for name, image in experiment.containers.items()
        },
    }


def _date(moment: datetime | None) -> str | None:
    return None if moment is None else timestamp(moment)


def check_name(what: str, text: str) -> str:
    """Refuse a name that does not fit into an index."""
    if len(text.encode()) > MAX_NAME_BYTES:
        raise Refused(f"{what}: expected at most {MAX_NAME_BYTES} bytes")
    return text


def _is_blank(value: Any) -> bool:
    return value is None or value in ([], {}) or (isinstance(value, str) and not value.strip())


def _text(sent: Mapping[str, Any], name: str) -> str | None:
    value = sent.get(name)
    if value is None:
        return None
    if isinstance(value, bool | list | dict):
        raise Refused(f"{name}: expected text")
    return check_name(name, str(value))


def _name(sent: Mapping[str, Any], name: str) -> str:
    return _text(sent, name) or ""


def _kind(value: Any) -> ExperimentType:
    if value is None:
        return "container"
    kind = _KINDS.get(value.lower()) if isinstance(value, str) else None
    if kind is None:
        raise Refused(f"Invalid experiment_type : {named(value)}")
    return kind


def _object(objects: Any) -> dict[str, Any]:
    if not isinstance(objects, list) or not all(isinstance(item, dict) for item in objects):
        raise Refused(JSON_ERROR)
    if len(objects) != 1:
        raise Refused(SEVERAL_OBJECTS)
    found: dict[str, Any] = objects[0]
    return found


def _check_kind(kind: ExperimentType, kubernetes_object: Mapping[str, Any]) -> None:
    if kind == "container" and kubernetes_object.get("namespaces") is not None:
        raise Refused("Can not specify namespace data for container experiment")
    if kind == "namespace" and kubernetes_object.get("containers") is not None:
        raise Refused("Can not specify container data for namespace experiment")
    if kind == "container":
        object_type = kubernetes_object.get("type")
        if not isinstance(object_type, str) or object_type.lower() not in _OBJECT_TYPES:
            raise Refused(f"Invalid deployment type: {named(object_type)}")


def _check_mode(sent: Mapping[str, Any]) -> None:
    mode, target = str(sent["mode"]).lower(), str(sent["target_cluster"]).lower()
    if mode not in _MODES:
        raise Refused(f"mode: got {mode[:100]!r}, expected monitor")
    if target not in _TARGETS:
        raise Refused(f"target_cluster: got {target[:100]!r}, expected remote or local")
    if mode in {"auto", "recreate"} and target == "remote":
        raise Refused("Auto or recreate mode is not supported for remote monitoring use case.")


def _workload(kubernetes_object: Mapping[str, Any]) -> dict[str, Any]:
    missing = [name for name in ("name", "namespace", "containers") if _is_blank(kubernetes_object.get(name))]
    if missing:
        raise Refused(f"Mandatory parameters missing [{', '.join(missing)}] ")
    containers: dict[str, str | None] = {}
    for item in _containers(kubernetes_object):
        for key in ("container_image_name", "container_name"):
            if _is_blank(item.get(key)):
                raise Refused(f"{key} cannot be null or blank")
        containers.setdefault(_name(item, "container_name"), _text(item, "container_image_name"))
    return {
        "object_type": _text(kubernetes_object, "type"),
        "object_name": _text(kubernetes_object, "name"),
        "namespace": _text(kubernetes_object, "namespace"),
        "containers": containers,
    }


def _containers(kubernetes_object: Mapping[str, Any]) -> list[dict[str, Any]]:
    sent = kubernetes_object.get("containers") or []
    if not isinstance(sent, list) or not all(isinstance(item, dict) for item in sent):
        raise Refused(JSON_ERROR)
    return sent


def _namespace(kubernetes_object: Mapping[str, Any]) -> dict[str, Any]:
    sent = kubernetes_object.get("namespaces")
    if not isinstance(sent, dict):
        raise Refused("Missing NamespaceData for experimentType: namespace")
    if _is_blank(sent.get("namespace")):
        raise Refused("Missing namespace for experimentType: namespace")
    name = _name(sent, "namespace")
    return {"object_type": None, "object_name": None, "namespace": name, "containers": {name: None}}
