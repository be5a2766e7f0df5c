"""Identities as strangers write them: odd ones, and those that say two things."""

import base64
import json
from typing import Any, Final

from multidict import CIMultiDict

HEADER: Final = "x-rh-identity"


def encoded(text: bytes | str) -> str:
    """The header's value for these bytes."""
    return base64.b64encode(text.encode() if isinstance(text, str) else text).decode()


def identity(**fields: Any) -> str:
    """The header's value for these fields."""
    return encoded(json.dumps({"identity": fields}))


def stated(**fields: Any) -> str:
    """The header's value for the fields that are not None."""
    return identity(**{name: value for name, value in fields.items() if value is not None})


def user(org_id: Any, **fields: Any) -> str:
    """A user of an organisation, as the gateway writes it."""
    return identity(org_id=org_id, internal={"org_id": org_id}, type="User", **fields)


def headers(*values: str) -> CIMultiDict[str]:
    """A request's headers with these identities."""
    return CIMultiDict((HEADER, value) for value in values)


def odd(org_id: str, other: str) -> dict[str, CIMultiDict[str]]:
    """By what is odd about them: headers that must show no reader a sender of ``org_id``. ``other`` sends them."""
    look_alikes = {
        "an integer": int(org_id),
        "a float": float(org_id),
        "true": True,
        "a list": [org_id],
        "a dictionary": {org_id: org_id},
        "null": None,
        "empty": "",
        "a blank": " ",
        "leading zero": f"0{org_id}",
        "plus": f"+{org_id}",
        "blank before": f" {org_id}",
        "blank after": f"{org_id} ",
        "decimal point": f"{org_id}.0",
        "newline": f"{org_id}\n",
        "carriage return": f"{org_id}\r\n",
        "NUL": f"{org_id}\0",
        "NUL and more": f"{org_id}\0{other}",
        "full-width digits": "".join(chr(ord(digit) - ord("0") + 0xFF10) for digit in org_id),
        "arabic digits": "".join(chr(ord(digit) - ord("0") + 0x660) for digit in org_id),
        "zero-width": f"{org_id}\u200b",
        "quote": f"{org_id}' or '1'='1",
        "wildcard": "%",
        "climbing": f"../{org_id}",
        "huge": org_id * 3000,
    }
    found = {f"org_id: {name}": headers(user(value)) for name, value in look_alikes.items()}
    mine, theirs = user(other), user(org_id)
    raw: dict[str, str | bytes] = {
        "key twice": f'{{"identity":{{"org_id":"{other}","org_id":"{org_id}","type":"User"}}}}',
        "key twice in two cases": f'{{"identity":{{"org_id":"{other}","Org_Id":"{org_id}","type":"User"}}}}',
        "identity twice": f'{{"identity":{{"org_id":"{other}"}},"identity":{{"org_id":"{org_id}"}}}}',
        "lone surrogate": f'{{"identity":{{"org_id":"{org_id}\\ud800","type":"User"}}}}',
        "300 deep": "[" * 300 + f'"{org_id}"' + "]" * 300,
        "9,000 deep": "[" * 9000,
        "no object": f'"{org_id}"',
        "NaN": f'{{"identity":{{"org_id":"{org_id}","type":"User","x":NaN}}}}',
        "UTF-16": json.dumps({"identity": {"org_id": org_id, "type": "User"}}).encode("utf-16"),
    }
    found |= {name: headers(encoded(text)) for name, text in raw.items()}
    return found | {
        "org_id and internal.org_id differ": headers(
            identity(org_id=other, internal={"org_id": org_id}, type="User")
        ),
        "internal.org_id and org_id differ": headers(
            identity(org_id=org_id, internal={"org_id": other}, type="User")
        ),
        "two headers": headers(mine, theirs),
        "two headers, the other way round": headers(theirs, mine),
        "two equal headers": headers(theirs, theirs),
        "an empty header before": headers("", theirs),
        "an empty header after": headers(theirs, ""),
        "joined by a comma": headers(f"{mine}, {theirs}"),
        "bytes that are no text": headers("\udcff\udcfe"),
        "blank in the base64": headers(f"{theirs[:8]} {theirs[8:]}"),
        "padding in the middle": headers(f"{mine}={theirs}"),
    }
