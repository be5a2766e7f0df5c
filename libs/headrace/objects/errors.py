"""The exceptions for S3's errors, the same for both clients."""

from collections.abc import Mapping
from typing import Final

from headrace.runtime.errors import HeadraceError, Permanent, Retryable


class ObjectNotFound(Permanent):
    """The object does not exist."""


class ObjectExists(Permanent):
    """An object or bucket of that name already exists, and must not be replaced."""


class UploadNotFound(Retryable):
    """The multipart upload does not exist, or no longer exists."""


class InvalidObjectName(Permanent):
    """The server does not accept the object's name."""


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
    """Return the exception for an S3 error code.

    What an operator can correct (a missing bucket, denied access) is `Retryable`, so that work waits and is not lost.
    """
    kind = _BY_CODE.get(code) or (_BY_STATUS.get(status, Retryable) if not code else Retryable)
    return kind(f"S3 answered {status} {code or '(no code)'} to {what}")


def unanswered(what: str, error: Exception) -> Retryable:
    """Return the exception for a store that did not answer."""
    return Retryable(f"S3 did not answer to {what}: {type(error).__name__}: {error}")
