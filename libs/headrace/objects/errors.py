"""What S3 may answer instead of success, whichever client asked."""

from collections.abc import Mapping
from typing import Final

from headrace.runtime.errors import HeadraceError, Permanent, Retryable


class ObjectNotFound(Permanent):
    """There is no such object."""


class ObjectExists(Permanent):
    """An object, or a bucket, of that name is there and was to be left alone."""


class UploadNotFound(Retryable):
    """There is no such multipart upload (any more)."""


class InvalidObjectName(Permanent):
    """The server takes no object of that name."""


_BY_CODE: Final[Mapping[str, type[HeadraceError]]] = {
    "NoSuchKey": ObjectNotFound,
    "NotFound": ObjectNotFound,
    "NoSuchUpload": UploadNotFound,
    "PreconditionFailed": ObjectExists,
    "ConditionalRequestConflict": ObjectExists,
    "BucketAlreadyOwnedByYou": ObjectExists,
    "BucketAlreadyExists": ObjectExists,
    "XMinioInvalidObjectName": InvalidObjectName,
    "XMinioInvalidResourceName": InvalidObjectName,
    "KeyTooLongError": InvalidObjectName,
}
_BY_STATUS: Final[Mapping[int, type[HeadraceError]]] = {404: ObjectNotFound, 412: ObjectExists}


def failure(code: str, status: int, what: str) -> HeadraceError:
    """The exception for an S3 error code.

    What an operator can mend (a missing bucket, denied access) is `Retryable`: work waits for it instead of
    being lost.
    """
    kind = _BY_CODE.get(code) or (_BY_STATUS.get(status, Retryable) if not code else Retryable)
    return kind(f"S3 answered {status} {code or '(no code)'} to {what}")


def unanswered(what: str, error: Exception) -> Retryable:
    """The exception for a store that did not answer."""
    return Retryable(f"S3 did not answer to {what}: {type(error).__name__}: {error}")
