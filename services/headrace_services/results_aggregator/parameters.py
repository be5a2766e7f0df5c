"""The parts of a path: how each is described and read. No SQL; every refusal is 400 with upstream's text."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from headrace.web.parameters import Custom, Parameter, shown
from headrace.web.schemas import UUID, Json
from headrace_services.results_aggregator.refusals import bad, unparsable

MAX_ORG_ID: Final = 0xFFFF_FFFF
# The one spelling of a number: an organisation is a text elsewhere, where "01" is not "1".
ORG_ID: Final = re.compile(r"[1-9][0-9]{0,9}")
MAX_CLUSTERS: Final = 1000
# An entry of the indexes has room for a rule, its key and the user together.
MAX_RULE_CHARACTERS: Final = 1000
MAX_USER_CHARACTERS: Final = 128
MAX_REQUEST_ID_CHARACTERS: Final = 1024
MAX_NAMESPACE_CHARACTERS: Final = 256

REPORT_SUFFIX: Final = ".report"

_HEX_UUID: Final = "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_UUID: Final = re.compile(_HEX_UUID, re.ASCII | re.IGNORECASE)
_UUID_CHARACTERS: Final = 36
_RULE_NAME: Final = f"[a-zA-Z_0-9.]{{1,{MAX_RULE_CHARACTERS}}}"
_NAME: Final = re.compile(_RULE_NAME, re.ASCII)
_SELECTOR: Final = re.compile(rf"{_RULE_NAME}\|{_RULE_NAME}", re.ASCII)
_BAD_NAME: Final = "it must contain only from latin characters, number, underscores or dots"
BAD_SELECTOR: Final = "invalid rule ID, it must contain only rule ID and error key separated by |"
_BAD_PARTS: Final = (
    "invalid rule ID, each part of ID must contain only from latin characters, number, underscores or dots"
)
# Upstream reads a path's selector with another helper than a body's rule, which has its own words.
_NO_SELECTOR: Final = "Param rule_selector is not a valid rule selector (plugin_name|error_key)"


Fields = dict[str, Any]


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
    request_id: str = ""

    @property
    def rule(self) -> Rule:
        """The rule that was named, in one part of the path or in two."""
        return Rule(self.rule_id, self.error_key)


def why_no_uuid(text: str) -> str | None:
    """What is wrong with a cluster's id; None: nothing."""
    if len(text) != _UUID_CHARACTERS:
        return f"invalid UUID length: {len(text)}"
    return None if _UUID.fullmatch(text) else "invalid UUID format"


def _org_id(name: str, text: str) -> int:
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


def _org(name: str, text: str) -> Fields:
    return {"org_id": _org_id(name, text)}


def _orgs(name: str, text: str) -> Fields:
    return {"org_ids": tuple(_org_id(name, part) for part in _parts(text))}


def _cluster(name: str, text: str) -> Fields:
    if why := why_no_uuid(text):
        raise unparsable(name, text, why)
    return {"cluster": text.lower()}


def _clusters(name: str, text: str) -> Fields:
    return {"clusters": tuple(_cluster(name, part)["cluster"] for part in _parts(text))}


def _cluster_list(_name: str, text: str) -> Fields:
    return {"clusters": checked_clusters(_parts(text))}


def _user(name: str, text: str) -> Fields:
    user_id = text.strip()
    if not user_id:
        raise bad(f"Missing required param from request: {name}")
    if len(user_id) > MAX_USER_CHARACTERS or "\0" in user_id:
        raise unparsable(name, text, f"at most {MAX_USER_CHARACTERS} characters without NUL expected")
    return {"user_id": user_id}


def _rule(name: str, text: str) -> Fields:
    if not _NAME.fullmatch(text):
        raise unparsable(name, text, f"invalid rule ID, {_BAD_NAME}")
    return {"rule_id": text}


def _key(name: str, text: str) -> Fields:
    if not _NAME.fullmatch(text):
        raise unparsable(name, text, f"invalid error key, {_BAD_NAME}")
    return {"error_key": text}


def parse_selector(name: str, text: str) -> Rule:
    """``rule|KEY``."""
    parts = text.split("|")
    if len(parts) != 2:
        raise unparsable(name, text, BAD_SELECTOR)
    if not all(_NAME.fullmatch(part) for part in parts):
        raise unparsable(name, text, _BAD_PARTS)
    return Rule(*parts)


def _selector(name: str, text: str) -> Fields:
    if not _SELECTOR.fullmatch(text):
        raise unparsable(name, text, _NO_SELECTOR)
    return _rule_and_key(name, text)


def _rule_and_key(_name: str, text: str) -> Fields:
    rule = parse_selector("rule_id", text)
    return {"rule_id": rule.fqdn, "error_key": rule.key}


def _namespace(name: str, text: str) -> Fields:
    if not text or len(text) > MAX_NAMESPACE_CHARACTERS or re.search(r"[\0\n]", text):
        raise unparsable(name, text, f"invalid namespace ID: '{shown(text)}'")
    return {"namespace": text}


def _request(name: str, text: str) -> Fields:
    if not text or "\0" in text or len(text) > MAX_REQUEST_ID_CHARACTERS:
        raise unparsable(name, text, f"1 to {MAX_REQUEST_ID_CHARACTERS} characters without NUL expected")
    return {"request_id": text}


def _parts(text: str) -> list[str]:
    """A path is too short to hold many."""
    return text.split(",")


ORG_ID_SCHEMA: Final[Json] = {"type": "integer", "format": "int64", "minimum": 1, "maximum": MAX_ORG_ID}
VOTE: Final[Json] = {"type": "integer", "enum": [-1, 0, 1]}
SELECTOR_SCHEMA: Final[Json] = {"type": "string", "pattern": rf"^{_RULE_NAME}\|{_RULE_NAME}$"}
_RULE_SCHEMA: Final[Json] = {
    "type": "string",
    "pattern": f"^{_RULE_NAME}$",
    "maxLength": MAX_RULE_CHARACTERS,
}


def _bounded(pattern: str, characters: int) -> Json:
    return {"type": "string", "pattern": pattern, "minLength": 1, "maxLength": characters}


def _joined(item: str) -> Json:
    return {"type": "string", "pattern": f"^{item}(,{item})*$"}


def _of_path(
    name: str, schema: Json, reader: Callable[[str, str], Fields], description: str = ""
) -> Parameter[Fields]:
    return Parameter(
        name, Custom(schema, partial(reader, name)), {}, description, where="path", is_required=True
    )


# By the name that a path gives them.
PARAMETERS: Final[Mapping[str, Parameter[Fields]]] = {
    parameter.name: parameter
    for parameter in (
        _of_path("org_id", ORG_ID_SCHEMA, _org),
        _of_path("organization", ORG_ID_SCHEMA, _org),
        _of_path("organizations", _joined("[1-9][0-9]{0,8}"), _orgs, "organisations, separated by commas"),
        _of_path("cluster", UUID, _cluster),
        _of_path("clusters", _joined(_HEX_UUID), _clusters, "clusters, separated by commas"),
        _of_path("cluster_list", _joined(_HEX_UUID), _cluster_list, "clusters, separated by commas"),
        _of_path("user_id", _bounded(r"^[^\u0000\s]+$", MAX_USER_CHARACTERS), _user),
        _of_path("rule_id", _RULE_SCHEMA, _rule, "the rule's component, with or without `.report`"),
        _of_path("error_key", _RULE_SCHEMA, _key),
        _of_path(
            "rule_selector", SELECTOR_SCHEMA, _selector, "`rule|KEY`, the rule with or without `.report`"
        ),
        _of_path("rule", SELECTOR_SCHEMA, _rule_and_key, "`rule|KEY`, the rule with or without `.report`"),
        _of_path("request_id", _bounded(r"^[^\u0000]+$", MAX_REQUEST_ID_CHARACTERS), _request),
        _of_path("namespace", _bounded(r"^[^\u0000\n]+$", MAX_NAMESPACE_CHARACTERS), _namespace),
    )
}


# Whose clusters are meant, where the path does not say and nobody has to.
OF_ORGANISATION: Final = Parameter(
    "org_id",
    Custom(ORG_ID_SCHEMA, partial(_org_id, "org_id")),
    0,
    "the identity's by default; an installation that asks for none takes any, by default 1",
)


def read_path(values: Mapping[str, str], caller: int | None) -> Asked:
    """The path's parameters, in its order. Raises 400."""
    found: Fields = {"caller": caller}
    for name in values:
        found |= PARAMETERS[name].read(values)
    return Asked(**found)


def checked_clusters(values: list[Any]) -> tuple[str, ...]:
    """Each once, in lower case, in the order given. Raises 400."""
    if len(values) > MAX_CLUSTERS:
        raise bad(f"got {len(values)} clusters, expected at most {MAX_CLUSTERS}")
    for value in values:
        if not isinstance(value, str):
            raise bad("bad type in json data")
        if why := why_no_uuid(value):
            raise bad(f"invalid cluster ID: '{shown(value)}'. Error: {why}")
    return tuple(dict.fromkeys(value.lower() for value in values))
