"""The bodies of the API's answers, as JSON Schemas."""

from typing import Final

from headrace.contracts.kruize import ENGINES, TERMS
from headrace.database.counts import EXACT_UP_TO, IS_ESTIMATE
from headrace.web.schemas import (
    BOOLEAN,
    COUNT,
    MOMENT,
    NUMBER,
    OBJECT,
    TEXT,
    UUID,
    Json,
    array,
    closed,
    mapping,
    nullable,
    record,
    reference,
    whole,
)
from headrace_services.ros_api.parameters import UNLIMITED


def _some(**properties: Json) -> Json:
    """Any of these, as far as Kruize has them."""
    return record((), **properties)


def _page_of(item: str) -> Json:
    return whole(
        data=array(reference(item)),
        meta=closed(
            record(
                ("count", "limit", "offset"),
                count=COUNT | {"description": f"on all pages; exact up to {EXACT_UP_TO}"},
                limit={"type": "integer", "minimum": UNLIMITED},
                offset=COUNT,
                **{IS_ESTIMATE: BOOLEAN | {"description": "there if the count is an estimate"}},
            )
        ),
        links=closed(record(("first", "last"), first=TEXT, previous=TEXT, next=TEXT, last=TEXT)),
    )


_CLUSTER: Final[dict[str, Json]] = {
    "cluster_alias": TEXT, "cluster_uuid": TEXT, "source_id": TEXT, "last_reported": nullable(MOMENT)
}  # fmt: skip
_WORKLOAD: Final[dict[str, Json]] = {"project": TEXT, "workload": TEXT, "workload_type": TEXT}

ERROR: Final = whole(status={"type": "string", "enum": ["error", "not_found"]}, message=TEXT)
SCHEMAS: Final[Json] = {
    "Status": whole(**{"api-server": TEXT}),
    "Amount": _some(amount=NUMBER, format=TEXT),
    "Resources": _some(cpu=reference("Amount"), memory=reference("Amount")),
    "Config": _some(requests=reference("Resources"), limits=reference("Resources")),
    "Notifications": mapping(_some(type=TEXT, message=TEXT, code={"type": "integer"})),
    "Engine": _some(
        config=reference("Config"),
        variation=reference("Config"),
        notifications=reference("Notifications"),
    ),
    "Term": _some(
        duration_in_hours=NUMBER | {"minimum": 0},
        monitoring_start_time=MOMENT,
        notifications=reference("Notifications"),
        recommendation_engines=_some(**dict.fromkeys(ENGINES, reference("Engine"))),
        plots=OBJECT | {"description": "box plots of the usage; in a single recommendation only"},
    ),
    "Recommendation": _some(
        monitoring_end_time=MOMENT,
        current=reference("Config"),
        notifications=reference("Notifications"),
        recommendation_terms=_some(**dict.fromkeys(TERMS, reference("Term"))),
    ),
    "Container": whole(
        id=UUID, **_CLUSTER, **_WORKLOAD, container=TEXT, recommendations=reference("Recommendation")
    ),
    "Namespace": whole(id=UUID, **_CLUSTER, project=TEXT, recommendations=reference("Recommendation")),
    "Workload": whole(
        id={"type": "integer", "format": "int64"},
        **_CLUSTER,
        **_WORKLOAD,
        experiment_name=TEXT,
        containers=array(TEXT),
        metrics_upload_at=nullable(MOMENT),
    ),
    "Containers": _page_of("Container"),
    "Namespaces": _page_of("Namespace"),
    "Workloads": _page_of("Workload"),
}
