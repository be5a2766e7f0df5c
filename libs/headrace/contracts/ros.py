"""The messages of the resource-optimization chain, between koku, the ROS processor and the poller.

Their keys are matched case-insensitively, as upstream's readers do.
"""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, ConfigDict, Field

from headrace.contracts.clusters import is_cluster_uuid
from headrace.contracts.message import Element, FoldedPart, Message

# A text column of PostgreSQL cannot store NUL.
Text = Annotated[str, Field(min_length=1, max_length=1024, pattern="^[^\0]*$")]
ExperimentType = Literal["container", "namespace"]


def _is_uuid(text: str) -> str:
    if not is_cluster_uuid(text):
        raise ValueError("expected a UUID")
    return text


class _Part(FoldedPart):
    model_config = ConfigDict(extra="allow")


class RosMetadata(_Part):
    """The origin of usage. Hand-made messages lack ``provider_uuid`` and ``operator_version``."""

    account: str | None = None
    org_id: Text
    source_id: Text
    provider_uuid: str | None = None
    cluster_uuid: Annotated[Text, AfterValidator(_is_uuid)]
    operator_version: str | None = None
    cluster_alias: Text


class RosEvent(Message, FoldedPart):
    """Usage CSVs of one payload, ready to be read: topic ``hccm.ros.events``.

    ``object_keys[i]``, if present, is the key of ``files[i]`` in the ROS bucket. ``more_follow``: the payload
    has more files than one event may name, and further events follow under the same key.
    """

    request_id: Text
    # The identity header, at most 16 KiB.
    b64_identity: Annotated[str, Field(min_length=1)]
    metadata: RosMetadata
    files: list[Element]
    object_keys: list[Element] | None = None
    more_follow: bool | None = None

    @property
    def account(self) -> str:
        """The account in the payload's status."""
        return self.metadata.account or ""

    @property
    def org_id(self) -> str:
        """The organisation in the payload's status."""
        return self.metadata.org_id

    @property
    def cluster_id(self) -> str:
        """The cluster in the payload's status."""
        return self.metadata.cluster_uuid


class UploadValidation(Message):
    """Koku's validation of one archive: topic ``platform.upload.validation``."""

    request_id: str
    validation: Literal["success", "failure"]


class RecommendationMetadata(_Part):
    """One workload whose usage was sent to Kruize."""

    Org_id: Text
    Workload_id: int = Field(gt=0)
    Experiment_name: Text
    Max_endtime_report: datetime
    ExperimentType: ExperimentType


class RecommendationRequest(Message, FoldedPart):
    """A request for recommendations: topic ``rosocp.kruize.recommendations``, keyed by the experiment's name."""

    Request_id: Text
    Metadata: RecommendationMetadata

    @property
    def request_id(self) -> str:
        """The request id in the payload's status."""
        return self.Request_id

    @property
    def org_id(self) -> str:
        """The organisation in the payload's status."""
        return self.Metadata.Org_id
