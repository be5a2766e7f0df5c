"""The message after an archive was copied into the cluster-id/date layout."""

from pydantic import ConfigDict

from headrace.contracts.message import Message, Part


class ArchiveMetadata(Part):
    """Whose archive it is."""

    model_config = ConfigDict(extra="allow")

    cluster_id: str
    external_organization: str


class ArchiveSynced(Message):
    """``path`` is the object key; ``original_path`` the staged object, never a presigned URL.

    ``bucket`` and ``service`` are ours: without them a consumer must guess where ``path`` is.
    """

    path: str
    original_path: str
    metadata: ArchiveMetadata
    request_id: str | None = None
    bucket: str
    service: str
