"""What a request names in its path and its body, checked. No SQL; every refusal is 400 with upstream's text."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web

from headrace.runtime.untrusted import Unreadable, load_json

MAX_ORG_ID: Final = 0xFFFF_FFFF
# The one spelling of a number: an organisation is a text elsewhere, where "01" is not "1".
ORG_ID: Final = re.compile(r"[1-9][0-9]{0,9}")
MAX_CLUSTERS: Final = 1000
MAX_BODY_BYTES: Final = 256 << 10
# A list of clusters is the longest.
MAX_VALUES: Final = 20_000
MAX_DEPTH: Final = 16
# An entry of the indexes has room for a rule, its key and the user together.
MAX_RULE_CHARACTERS: Final = 1000
MAX_USER_CHARACTERS: Final = 128
MAX_NAMESPACE_CHARACTERS: Final = 256

REPORT_SUFFIX: Final = ".report"

_REQUIRED: Final = object()
_NOTHING: Final = object()
_SHOWN_CHARACTERS: Final = 64
_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE)
_UUID_CHARACTERS: Final = 36
_NAME: Final = re.compile(rf"[a-zA-Z_0-9.]{{1,{MAX_RULE_CHARACTERS}}}", re.ASCII)
_BAD_NAME: Final = "it must contain only from latin characters, number, underscores or dots"
_BAD_SELECTOR: Final = "invalid rule ID, it must contain only rule ID and error key separated by |"
_BAD_PARTS: Final = (
    "invalid rule ID, each part of ID must contain only from latin characters, number, underscores or dots"
)


@dataclass(frozen=True)
class Rule:
    """A rule and its error key. Clients name the component with and without ``.report``, and mean the same."""

    fqdn: str = ""
    key: str = ""

    @property
    def module(self) -> str:
        """Without the suffix."""
        return self.fqdn.removesuffix(REPORT_SUFFIX)

    @property
    def spellings(self) -> list[str]:
        """Both of them."""
        return [self.module, self.module + REPORT_SUFFIX]

    @property
    def rule_id(self) -> str:
        """As recommendations name it."""
        return f"{self.module}|{self.key}"


@dataclass(frozen=True)
class Asked:
    """What the path names; UUIDs in lower case. ``caller`` is whose request it is, None where nobody has to say."""

    caller: int | None = None
    org_id: int = 0
    org_ids: tuple[int, ...] = ()
    cluster: str = ""
    clusters: tuple[str, ...] = ()
    user_id: str = ""
    rule_id: str = ""
    error_key: str = ""
    namespace: str = ""

    @property
    def rule(self) -> Rule:
        """The rule that was named, in one part of the path or in two."""
        return Rule(self.rule_id, self.error_key)


def bad(text: str) -> web.HTTPBadRequest:
    """The request cannot be used."""
    return web.HTTPBadRequest(text=text)


def unparsable(name: str, value: str, why: str) -> web.HTTPBadRequest:
    """A parameter is not of its form."""
    return bad(f"Error during parsing param '{name}' with value '{shown(value)}'. Error: '{why}'")


def invalid(name: str, value: object, why: str) -> web.HTTPBadRequest:
    """A parameter is of its form, yet not acceptable."""
    return bad(f"Error during validating param '{name}' with value '{shown(str(value))}'. Error: '{why}'")


def shown(value: str) -> str:
    """What was got, for a text that a person reads."""
    return value if len(value) <= _SHOWN_CHARACTERS else f"{value[:_SHOWN_CHARACTERS]}..."


def parse_org_id(name: str, text: str) -> int:
    """A positive number of 32 bits, in its one spelling."""
    if not re.fullmatch(r"[0-9]{1,20}", text, re.ASCII):
        raise unparsable(name, text, "unsigned integer expected")
    if not text.strip("0"):
        raise unparsable(name, text, "positive value expected")
    if text.startswith("0"):
        raise unparsable(name, text, "no leading zeros expected")
    value = int(text)
    if value > MAX_ORG_ID:
        raise unparsable(name, text, f"at most {MAX_ORG_ID} expected")
    return value


def why_no_uuid(text: str) -> str | None:
    """What is wrong with a cluster's id; None: nothing."""
    if len(text) != _UUID_CHARACTERS:
        return f"invalid UUID length: {len(text)}"
    return None if _UUID.fullmatch(text) else "invalid UUID format"


def parse_selector(name: str, text: str) -> Rule:
    """``rule|KEY``."""
    parts = text.split("|")
    if len(parts) != 2:
        raise unparsable(name, text, _BAD_SELECTOR)
    if not all(_NAME.fullmatch(part) for part in parts):
        raise unparsable(name, text, _BAD_PARTS)
    return Rule(*parts)


def _org(name: str, text: str) -> dict[str, Any]:
    return {"org_id": parse_org_id(name, text)}


def _orgs(name: str, text: str) -> dict[str, Any]:
    return {"org_ids": tuple(parse_org_id(name, part) for part in _parts(text))}


def _cluster(name: str, text: str) -> dict[str, Any]:
    if why := why_no_uuid(text):
        raise unparsable(name, text, why)
    return {"cluster": text.lower()}


def _clusters(name: str, text: str) -> dict[str, Any]:
    for part in _parts(text):
        _cluster(name, part)
    return {"clusters": tuple(_parts(text.lower()))}


def _cluster_list(_name: str, text: str) -> dict[str, Any]:
    return {"clusters": checked_clusters(_parts(text))}


def _user(name: str, text: str) -> dict[str, Any]:
    user_id = text.strip()
    if not user_id:
        raise bad(f"Missing required param from request: {name}")
    if len(user_id) > MAX_USER_CHARACTERS or "\0" in user_id:
        raise unparsable(name, text, f"at most {MAX_USER_CHARACTERS} characters without NUL expected")
    return {"user_id": user_id}


def _rule(name: str, text: str) -> dict[str, Any]:
    if not _NAME.fullmatch(text):
        raise unparsable(name, text, f"invalid rule ID, {_BAD_NAME}")
    return {"rule_id": text}


def _key(name: str, text: str) -> dict[str, Any]:
    if not _NAME.fullmatch(text):
        raise unparsable(name, text, f"invalid error key, {_BAD_NAME}")
    return {"error_key": text}


def _selector(name: str, text: str) -> dict[str, Any]:
    rule = parse_selector(name, text)
    return {"rule_id": rule.fqdn, "error_key": rule.key}


def _namespace(name: str, text: str) -> dict[str, Any]:
    if not text or len(text) > MAX_NAMESPACE_CHARACTERS or re.search(r"[\0\n]", text):
        raise unparsable(name, text, f"invalid namespace ID: '{shown(text)}'")
    return {"namespace": text}


def _parts(text: str) -> list[str]:
    """A path is too short to hold many."""
    return text.split(",")


READERS: Final[Mapping[str, Callable[[str, str], dict[str, Any]]]] = {
    "org_id": _org,
    "organization": _org,
    "organizations": _orgs,
    "cluster": _cluster,
    "clusters": _clusters,
    "cluster_list": _cluster_list,
    "user_id": _user,
    "rule_id": _rule,
    "error_key": _key,
    "rule_selector": _selector,
    "namespace": _namespace,
}


def read_path(values: Mapping[str, str], caller: int | None) -> Asked:
    """The path's parameters, in its order. Raises 400."""
    found: dict[str, Any] = {"caller": caller}
    for name, text in values.items():
        found |= READERS[name](name, text)
    return Asked(**found)


def checked_clusters(values: list[Any]) -> tuple[str, ...]:
    """Each once, in lower case, in the order given. Raises 400."""
    if len(values) > MAX_CLUSTERS:
        raise bad(f"got {len(values)} clusters, at most {MAX_CLUSTERS} can be asked for at once")
    for value in values:
        if not isinstance(value, str):
            raise bad("bad type in json data")
        if why := why_no_uuid(value):
            raise bad(f"invalid cluster ID: '{shown(value)}'. Error: {why}")
    return tuple(dict.fromkeys(value.lower() for value in values))


async def read_json(request: web.Request, *, otherwise: Any = _REQUIRED) -> Any:
    """The body, or ``otherwise`` where there is none. Raises 400, 408, 413."""
    body = await request.read()
    if not body:
        if otherwise is _REQUIRED:
            raise bad("client didn't provide request body")
        return otherwise
    try:
        return load_json(body, max_values=MAX_VALUES, max_depth=MAX_DEPTH)
    except Unreadable as error:
        raise bad(f"the body is {error}") from None


async def read_clusters(request: web.Request, *, required: bool = True) -> tuple[str, ...] | None:
    """A list of clusters, bare or as ``{"clusters": [...]}``. Raises 400."""
    body = await read_json(request, otherwise=_REQUIRED if required else _NOTHING)
    if body is _NOTHING:
        return None
    values = body.get("clusters") if isinstance(body, dict) else body
    if not isinstance(values, list | None):
        raise bad("bad type in json data")
    # Null is absence, in the list as around it.
    return checked_clusters(["" if value is None else value for value in values or ()])


async def read_text(
    request: web.Request, name: str, *, called: str, max_bytes: int, required: bool = True
) -> str:
    """The text ``name`` of an object, ``""`` where it is not there. Raises 400."""
    body = _object(await read_json(request, otherwise=_REQUIRED if required else {}))
    value = "" if body.get(name) is None else body[name]
    if not isinstance(value, str):
        raise bad("bad type in json data")
    if len(value.encode()) > max_bytes:
        raise invalid(name, value, f"{called} is longer than {max_bytes} bytes")
    if "\0" in value:
        raise invalid(name, value.replace("\0", ""), f"{called} has a NUL character")
    return value


async def read_rating(request: web.Request) -> tuple[Rule, int]:
    """``{"rule": "rule|KEY", "rating": -1}``; no rating is neither up nor down. Raises 400."""
    body = _object(await read_json(request))
    name, rating = (
        missing if body.get(key) is None else body[key] for key, missing in (("rule", ""), ("rating", 0))
    )
    if not isinstance(name, str) or not isinstance(rating, int) or isinstance(rating, bool):
        raise bad("bad type in json data")
    if "|" not in name:
        raise invalid("rule", name, _BAD_SELECTOR)
    if rating not in {-1, 0, 1}:
        raise invalid("rating", rating, "-1, 0 or 1 expected")
    return parse_selector("rule", name), rating


def _object(body: Any) -> dict[str, Any]:
    """The body's object; null is an empty one. Raises 400."""
    if not isinstance(body, dict | None):
        raise bad("bad type in json data")
    return body or {}
