"""The requests that docs/differences.md shows, sent as they stand there."""

import re
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

import pytest

from headrace.samples import KINDS, SampleOptions
from tests import identities
from tests.e2e.command import REPOSITORY

pytestmark = pytest.mark.xdist_group("examples")

PAGE = (REPOSITORY / "docs" / "differences.md").read_text(encoding="utf-8")
SECTION = PAGE.partition("\n## What senders request\n")[2].partition("\n## ")[0]
BLOCK = re.compile(r"^```http\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BOUNDARY = "4f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2"
ORGANISATION = "12345"
SECONDS = 30.0


@dataclass(frozen=True)
class Shown:
    """A request of the page."""

    head: str
    body: str

    @property
    def line(self):
        return self.head.partition("\n")[0]

    @property
    def kind(self):
        """The kind of sample that it uploads."""
        service = re.search(r"vnd\.redhat\.([a-z-]+)\.", self.body)[1]
        found = {kind.service: kind for kind in KINDS.values()} | {"rhos-lightspeed": KINDS["ols"]}
        return found[service]

    @property
    def content_type(self):
        return re.search(r"^Content-Type: (.*)$", self.body, re.MULTILINE)[1]


BLOCKS = [Shown(*block.rstrip("\n").partition("\n\n")[::2]) for block in BLOCK.findall(SECTION)]
UPLOADS = [shown for shown in BLOCKS if shown.body]
OTHERS = [shown for shown in BLOCKS if not shown.body]


def named(shown):
    return re.search(r"^User-Agent: ([\w-]+)", shown.head, re.MULTILINE)[1]


def sent(shown, url, cluster, archive=b""):
    """The status, headers and body of the answer to a request as it stands on the page."""
    known = {
        "<cluster id>": cluster,
        "<token>": "dG9rZW4=",
        "<version>": "1.2.3",
        "<boundary>": BOUNDARY,
        "<identity>": identities.stated(org_id=ORGANISATION, account_number=ORGANISATION, type="User"),
    }
    head, body = shown.head, shown.body
    for name, value in known.items():
        head, body = head.replace(name, value), body.replace(name, value)
    before, _, after = body.partition("<archive>")
    content = before.replace("\n", "\r\n").encode() + archive + after.replace("\n", "\r\n").encode()
    content += b"\r\n" if content else b""
    if "Transfer-Encoding: chunked" in head:
        pieces = [content[:700], content[700:]]
        content = (
            b"".join(f"{len(piece):x}\r\n".encode() + piece + b"\r\n" for piece in pieces) + b"0\r\n\r\n"
        )
    elif content:
        head += f"\nContent-Length: {len(content)}"
    place = urlsplit(url)
    first, _, headers = head.partition("\n")
    lines = (first, f"Host: {place.netloc}", "Connection: close", *headers.split("\n"))
    with socket.create_connection((place.hostname, place.port), SECONDS) as connection:
        connection.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + content)
        with connection.makefile("rb") as stream:
            answered, _, text = stream.read().partition(b"\r\n\r\n")
    status, *fields = answered.decode().split("\r\n")
    return int(status.split(" ")[1]), dict(field.lower().split(": ", 1) for field in fields), text


def test_every_sender_of_the_page_uploads():
    senders = set(map(named, UPLOADS))
    assert senders == {
        "insights-operator", "cost-mgmt-operator", "Go-http-client", "openshift-lightspeed-operator",
        "assisted-installer-operator",
    }  # fmt: skip


@pytest.mark.parametrize("number", range(len(UPLOADS)), ids=[named(shown) for shown in UPLOADS])
def test_an_upload_of_the_page_arrives(headrace, tmp_path, number):
    shown = UPLOADS[number]
    options = SampleOptions(seed=800 + number, workloads=1)
    archive = shown.kind.generate(tmp_path, options)[0].read_bytes()
    status, headers, text = sent(shown, headrace.urls["ingress"], options.cluster(), archive)
    assert status == 202, text
    payload = headrace.payload(headers["x-rh-insights-request-id"], type=shown.content_type)
    archived = payload.wait(60).archive()
    assert (archived.cluster_id, archived.content) == (options.cluster(), archive)


@pytest.mark.parametrize("number", range(len(OTHERS)), ids=[shown.line.split("?")[0] for shown in OTHERS])
def test_another_request_of_the_page_is_answered(headrace, number):
    shown = OTHERS[number]
    service = "sources_api" if "/api/sources/" in shown.line else "ingress"
    status, _, text = sent(shown, headrace.urls[service], SampleOptions(seed=900).cluster())
    assert status == (200 if service == "sources_api" else 405), text
