"""A running stack as the tests of a sender see it. `pytest-headrace` makes a fixture of it."""

from headrace.testing.archives import ArchivedUpload
from headrace.testing.payloads import AsyncPayload, Payload, PayloadFailed, Verdict
from headrace.testing.places import Places
from headrace.testing.sessions import Session, StackNotStarted
from headrace.testing.stack import AsyncHeadrace, Headrace

__all__ = [
    "ArchivedUpload",
    "AsyncHeadrace",
    "AsyncPayload",
    "Headrace",
    "Payload",
    "PayloadFailed",
    "Places",
    "Session",
    "StackNotStarted",
    "Verdict",
]
