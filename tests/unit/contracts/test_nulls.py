"""JSON null is absence, in every message and in every object within one."""

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from headrace.contracts.announcement import Announcement, UploadMetadata
from headrace.contracts.archive_synced import ArchiveSynced
from headrace.contracts.identity import BadOrganisation, Identity, decode_identity, encode_identity
from headrace.contracts.message import Message, Unjudged
from headrace.contracts.ros import RecommendationRequest, RosEvent, RosMetadata, UploadValidation
from headrace.contracts.rules import RulesResult, WorkloadInfo, WorkloadsResult
from headrace.contracts.sources import SourcesEvent
from headrace.contracts.status import PayloadStatus

CLUSTER = "11111111-2222-3333-4444-555555555555"
ROS_METADATA = {"org_id": "1", "source_id": "2", "cluster_uuid": CLUSTER, "cluster_alias": "a"}
RECOMMENDATION_METADATA = {
    "Org_id": "1",
    "Workload_id": 1,
    "Experiment_name": "e",
    "Max_endtime_report": "2026-01-01T00:00:00Z",
    "ExperimentType": "container",
}
# Of each message the least that is valid.
LEAST: dict[type[Message], dict[str, Any]] = {
    Announcement: {"request_id": "r", "url": "u"},
    ArchiveSynced: {
        "path": "p",
        "original_path": "o",
        "metadata": {"cluster_id": "c", "external_organization": "1"},
        "bucket": "b",
        "service": "s",
    },
    PayloadStatus: {"request_id": "r"},
    RecommendationRequest: {"Request_id": "r", "Metadata": RECOMMENDATION_METADATA},
    RosEvent: {"request_id": "r", "b64_identity": "i", "metadata": ROS_METADATA, "files": ["f"]},
    RulesResult: {"OrgID": 1, "ClusterName": "c", "Report": {"kept": None}},
    SourcesEvent: {"id": 1},
    UploadValidation: {"request_id": "r", "validation": "success"},
    WorkloadInfo: {"OrgID": 1, "ClusterName": "c"},
    WorkloadsResult: {"OrgID": 1, "ClusterName": "c", "Metrics": {"kept": None}},
}


def optional_fields() -> Iterator[Any]:
    for model, least in LEAST.items():
        for name in model.model_fields:
            if name not in least:
                yield pytest.param(model, least, name, id=f"{model.__name__}-{name}")
    for name in RosMetadata.model_fields:
        if name not in ROS_METADATA:
            yield pytest.param(RosMetadata, ROS_METADATA, name, id=f"RosMetadata-{name}")
    for name in UploadMetadata.model_fields:
        yield pytest.param(UploadMetadata, {}, name, id=f"UploadMetadata-{name}")


def messages(of: type[Message] = Message) -> Iterator[type[Message]]:
    """Those that are sent: what is not judged yet is kept as it came."""
    for model in of.__subclasses__():
        if "contracts" in model.__module__ and model is not Unjudged:
            if not model.__name__.startswith("_"):
                yield model
            yield from messages(model)


def test_every_message_is_looked_at():
    assert set(LEAST) == set(messages())


@pytest.mark.parametrize(("model", "least", "name"), list(optional_fields()))
def test_a_null_says_what_no_value_says(model: type[BaseModel], least: dict[str, Any], name: str):
    text = json.dumps(least | {name: None})
    assert model.model_validate_json(text) == model.model_validate(least)


@pytest.mark.parametrize(
    ("model", "least", "name"),
    [
        pytest.param(model, least, name, id=f"{model.__name__}-{name}")
        for model, least in LEAST.items()
        for name in least
    ],
)
def test_a_null_in_the_place_of_what_is_required_is_its_absence(
    model: type[Message], least: dict[str, Any], name: str
):
    with pytest.raises(ValidationError) as raised:
        model.from_json(json.dumps(least | {name: None}).encode())
    (error,) = raised.value.errors()
    assert (error["type"], error["loc"]) == ("missing", (name,))


def test_nulls_within_what_is_passed_on_stay():
    assert RulesResult.model_validate(LEAST[RulesResult]).Report == {"kept": None}
    assert WorkloadsResult.model_validate(LEAST[WorkloadsResult]).Metrics == {"kept": None}


def test_a_null_in_a_list_or_a_map_of_texts_is_the_empty_text():
    metadata = UploadMetadata.model_validate({"ip_addresses": [None], "custom_metadata": {"a": None}})
    assert (metadata.ip_addresses, metadata.custom_metadata) == ([""], {"a": ""})
    event = RosEvent.model_validate(LEAST[RosEvent] | {"files": [None, "f"], "object_keys": [None]})
    assert (event.files, event.object_keys) == (["", "f"], [""])


def test_a_null_under_another_spelling_takes_nothing_away():
    event = RosEvent.model_validate(LEAST[RosEvent] | {"Request_ID": None})
    assert event.request_id == "r"
    assert SourcesEvent.model_validate({"Id": 7, "ID": None}).id == 7


@pytest.mark.parametrize("document", [None, {"identity": None}, {"identity": {"org_id": None}}])
def test_an_identity_of_nulls_names_no_organisation(document: Any):
    header = base64.b64encode(json.dumps(document).encode()).decode()
    with pytest.raises(BadOrganisation):
        decode_identity(header)


@pytest.mark.parametrize("name", sorted(set(Identity.model_fields) - {"org_id", "type"}))
def test_a_null_in_an_identity_says_what_no_value_says(name: str):
    least: dict[str, Any] = {"org_id": "1", "type": "User"}
    header = base64.b64encode(json.dumps({"identity": least | {name: None}}).encode()).decode()
    assert decode_identity(header) == decode_identity(encode_identity(Identity(**least)))
