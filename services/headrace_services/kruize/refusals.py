"""How Kruize refuses a request, in upstream's words."""

import json
from http import HTTPStatus
from typing import Any, Final

import orjson

from headrace.web.errors import Refusal

JSON_ERROR: Final = "Failed to parse the JSON. Please check the input payload "
BAD_TIMESTAMP: Final = 'Given timestamp - " {} " is not a valid timestamp format'
NO_EXPERIMENT: Final = "Not Found: experiment_name does not exist: "

_SHOWN_CHARACTERS: Final = 100


def error_body(status: int, reason: str) -> dict[str, Any]:
    """Return the body of an error."""
    return {"message": reason, "httpcode": status, "documentationLink": "", "status": "ERROR"}


class Refused(Refusal):
    """A request is refused with an error; ``data`` lists the failed parts."""

    def __init__(self, message: str, status: int = HTTPStatus.BAD_REQUEST, data: object = None) -> None:
        # The list is complete, however long: a client reads from it which records to send again.
        whole = error_body(status, message) | {"data": orjson.Fragment(orjson.dumps(data))}
        super().__init__(status, message, body=None if data is None else whole)


def named(value: Any) -> str:
    """Return a value of a body for an error's text, as JSON, shortened."""
    text = value if isinstance(value, str) else json.dumps(value)
    return text[:_SHOWN_CHARACTERS]
