"""The Sources API's events about its resources: topic ``platform.sources.event-stream``, header ``event_type``."""

from headrace.contracts.message import FoldedPart, Message


class SourcesEvent(Message, FoldedPart):
    """The present (or last) state of one resource; ids are integers. Fields of other kinds are kept as extra fields.

    Keys match case-insensitively, because koku's own events write ``Id`` and ``Source_id``.
    """

    id: int
    source_id: int | None = None
    application_type_id: int | None = None
    tenant: str = ""

    @property
    def org_id(self) -> str:
        """The organisation of the resource."""
        return self.tenant
