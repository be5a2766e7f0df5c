"""tar.gz archives from untrusted senders: a streaming reader with limits, and a writer."""

from headrace.archives.errors import ArchiveRejected
from headrace.archives.headers import Kind
from headrace.archives.limits import ArchiveLimits
from headrace.archives.reader import ArchiveParser, Member, read_members
from headrace.archives.tar import ArchiveEnd, Data, Event, MemberEnd, MemberStart
from headrace.archives.writer import Entry, write_archive

__all__ = [
    "ArchiveEnd",
    "ArchiveLimits",
    "ArchiveParser",
    "ArchiveRejected",
    "Data",
    "Entry",
    "Event",
    "Kind",
    "Member",
    "MemberEnd",
    "MemberStart",
    "read_members",
    "write_archive",
]
