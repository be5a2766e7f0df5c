"""Every topic with its message type."""

from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from headrace.contracts.announcement import Announcement
from headrace.contracts.archive_synced import ArchiveSynced
from headrace.contracts.message import Message
from headrace.contracts.ros import RecommendationRequest, RosEvent, UploadValidation
from headrace.contracts.rules import RulesResult, WorkloadInfo, WorkloadsResult
from headrace.contracts.sources import SourcesEvent
from headrace.contracts.status import PayloadStatus

M = TypeVar("M", bound=Message)

DEAD_LETTER_SUFFIX: Final = ".dlq"


@dataclass(frozen=True)
class Topic(Generic[M]):
    """A topic's name and its type of messages."""

    name: str
    message: type[M]
    partitions: int = 3

    @property
    def dead_letters(self) -> str:
        """The dead-letter topic."""
        return self.name + DEAD_LETTER_SUFFIX


UPLOAD_ANNOUNCE: Final = Topic("platform.upload.announce", Announcement)
# In the ROS document ingress publishes here. Upstream's Sources API owns the topic, so it carries other kinds of
# messages too.
SOURCES_EVENTS: Final = Topic("platform.sources.event-stream", Announcement)
# The same topic, with the messages of the Sources API; the header `event_type` distinguishes them from those of
# ingress.
SOURCES_RESOURCES: Final = Topic(SOURCES_EVENTS.name, SourcesEvent)
PAYLOAD_STATUS: Final = Topic("platform.payload-status", PayloadStatus)
ARCHIVE_SYNCED: Final = Topic("ccx.archive.synced", ArchiveSynced)
ROS_EVENTS: Final = Topic("hccm.ros.events", RosEvent)
RECOMMENDATION_REQUESTS: Final = Topic("rosocp.kruize.recommendations", RecommendationRequest)
UPLOAD_VALIDATION: Final = Topic("platform.upload.validation", UploadValidation)
OCP_RESULTS: Final = Topic("ccx.ocp.results", RulesResult)
DVO_RESULTS: Final = Topic("ccx.dvo.results", WorkloadsResult)
WORKLOAD_INFO: Final = Topic("ccx.workload.info", WorkloadInfo)
