"""The message after an archive was copied into the cluster-id/date layout."""

from pydantic import ConfigDict

from headrace.contracts.message import Message, Part


class ArchiveMetadata(Part):
    """The organisation and cluster of the archive."""

    model_config = ConfigDict(extra="allow")

    cluster_id: str
    external_organization: str


class ArchiveSynced(Message):
    """``path`` is the object key; ``original_path`` the staged object, never a presigned URL.

    ``bucket`` and ``service`` are Headrace's: without them a consumer would have to guess the location of
    ``path``.
    """

    path: str
    original_path: str
    metadata: ArchiveMetadata
    request_id: str | None = None
    bucket: str
    service: str
