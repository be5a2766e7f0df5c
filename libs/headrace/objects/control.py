"""The full S3 client, for rare operations: multipart uploads and lists.

It is imported on first use. The import costs 0.15 s and 9 MiB, the first client 0.1 s and 14 MiB more; a process that
only puts, gets and copies avoids that.
"""

from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from functools import cache
from typing import TYPE_CHECKING, Final

import aiohttp
from aiobotocore.config import AioConfig
from aiobotocore.session import AioSession, get_session
from botocore.exceptions import BotoCoreError, ClientError

from headrace.objects.endpoint import S3Endpoint
from headrace.objects.errors import failure, unanswered

if TYPE_CHECKING:
    from types_aiobotocore_s3 import S3Client

_CONFIG: Final = AioConfig(
    signature_version="s3v4",
    s3={"addressing_style": "path", "payload_signing_enabled": False},
    request_checksum_calculation="when_required",
    response_checksum_validation="when_required",
    # The callers retry; a second layer of retries would multiply the attempts.
    retries={"total_max_attempts": 1},
    connect_timeout=2,
    read_timeout=20,
    max_pool_connections=64,
)


@cache
def _session() -> AioSession:
    """Return the process' only session.

    The session keeps the description of S3, which each client would otherwise parse again.
    """
    return get_session()


def client(endpoint: S3Endpoint) -> "AbstractAsyncContextManager[S3Client]":
    """Return a client of one endpoint."""
    return _session().create_client(
        "s3",
        endpoint_url=endpoint.url,
        region_name=endpoint.region,
        aws_access_key_id=endpoint.access_key,
        aws_secret_access_key=endpoint.secret_key,
        config=_CONFIG,
        # Without TLS no certificate is looked at, and reading all of them takes most of a client's making.
        verify=None if endpoint.url.startswith("https:") else False,
    )


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Translate every exception of the client library into one of `headrace.runtime.errors`."""
    try:
        yield
    except ClientError as error:
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        code = error.response.get("Error", {}).get("Code", "")
        raise failure("" if code.isdigit() else code, status, what) from error
    except (BotoCoreError, aiohttp.ClientError, TimeoutError, OSError) as error:
        raise unanswered(what, error) from error
