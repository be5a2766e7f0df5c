"""What the Sources API tells of its resources: topic ``platform.sources.event-stream``, header ``event_type``."""

from headrace.contracts.message import FoldedPart, Message


class SourcesEvent(Message, FoldedPart):
    """One resource as it is now (or last was); ids are integers. Fields of other kinds are kept as extra ones.

    Keys match case-insensitively: koku's own events write ``Id`` and ``Source_id``.
    """

    id: int
    source_id: int | None = None
    application_type_id: int | None = None
    tenant: str = ""

    @property
    def org_id(self) -> str:
        """Whose resource it is."""
        return self.tenant
