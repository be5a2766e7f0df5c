"""Every form of the table ends as in Go's ``mime/multipart``, which upstream's senders were tested against."""

import base64
import json
from pathlib import Path
from typing import Any, Final, cast

import pytest

from headrace_services.ingress.forms import BadForm, FormReader
from tests.unit.ingress.multipart_forms import FORMS
from tests.unit.ingress.test_forms import Chunks, Sinks

VERDICTS: Final[dict[str, Any]] = json.loads(
    Path(__file__).with_name("go_multipart").joinpath("verdicts.json").read_bytes()
)
# Go takes a body that was cut off inside a part's headers for a whole one.
REFUSED_HERE: Final = {"body headers-cut", "body file-then-headers-cut"}


def test_every_form_has_a_verdict():
    assert FORMS.keys() == VERDICTS.keys()


async def verdict(content_type: str, pieces: list[bytes]) -> Any:
    """As `go_multipart/main.go` gives it."""
    sinks = Sinks()
    try:
        form = await FormReader(sinks.open, 1000).read(content_type, cast("Any", Chunks(pieces)))
    except BadForm:
        return None
    files = [
        {"field": part.field, "content_type": part.content_type, "data": base64.b64encode(data).decode()}
        for part, data in zip(sinks.parts, sinks.bytes, strict=True)
    ]
    # Which of several counts is the handler's business: `file` before `upload`, the first before the rest.
    files.sort(key=lambda file: file["field"])
    metadata = None if form.metadata is None else base64.b64encode(form.metadata).decode()
    return {"file": files[0] if files else None, "metadata": metadata}


@pytest.mark.parametrize("name", FORMS)
async def test_a_form_is_read_as_go_reads_it(name: str):
    content_type, body = FORMS[name]
    expected = None if name in REFUSED_HERE else VERDICTS[name]
    size = 3 if len(body) < 1000 else 4096
    assert await verdict(content_type, [body]) == expected
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    assert await verdict(content_type, pieces) == expected
