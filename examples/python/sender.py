"""A sender in Python, with the standard library only: it packs a folder and uploads it."""

import io
import json
import tarfile
import time
import urllib.error
import urllib.request
import uuid
from pathlib import Path

CONTENT_TYPE = "application/vnd.redhat.ols.periodic+tar"
ATTEMPTS = 3
TIMEOUT_SECONDS = 30.0
# An ingress that is busy, or whose engines are away, asks to be tried again.
TRY_AGAIN = {429, 503}


class NotSent(Exception):
    """The ingress did not accept the archive; the text has its reason."""


def pack(folder: Path) -> bytes:
    """Return the folder's files as a tar.gz."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        archive.add(folder, arcname=".", recursive=True)
    return packed.getvalue()


def upload(url: str, archive: bytes, *, cluster_id: str, token: str) -> str:
    """Upload an archive as the operator of a cluster and return its request id; raises `NotSent`."""
    boundary, request_id = uuid.uuid4().hex, uuid.uuid4().hex
    headers = {
        "Authorization": f"Bearer {token}",
        "User-Agent": f"openshift-lightspeed-operator/example cluster/{cluster_id}",
        "Content-Type": f"multipart/form-data; boundary={boundary}",
        # The same for every attempt, so that a repetition is recognised.
        "x-rh-insights-request-id": request_id,
    }
    body = (
        (
            f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="data.tar.gz"\r\n'
            f"Content-Type: {CONTENT_TYPE}\r\n\r\n"
        ).encode()
        + archive
        + f"\r\n--{boundary}--\r\n".encode()
    )
    for attempt in range(1, ATTEMPTS + 1):
        request = urllib.request.Request(url, body, headers, method="POST")
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:
                return str(json.load(answer)["request_id"])
        except urllib.error.HTTPError as error:
            reason = f"{error.code}: {error.read().decode(errors='replace').strip()}"
            if error.code not in TRY_AGAIN or attempt == ATTEMPTS:
                raise NotSent(reason) from None
            time.sleep(float(error.headers.get("Retry-After", "5")))
    raise AssertionError("the last attempt returns or raises")
