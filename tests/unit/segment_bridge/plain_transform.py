"""The contract's six steps as plainly as they can be written: what the fast transformation is compared with."""

import json
from typing import Any

VERBS = {
    "create": "created",
    "delete": "deleted",
    "deletecollection": "collection deleted",
    "get": "fetched",
    "head": "headers fetched",
    "list": "listed",
    "patch": "patched",
    "update": "updated",
    "watch": "watch started",
}
SUBJECTS = {
    "applications": "Application",
    "components": "Component",
    "componentdetectionqueries": "ComponentDetectionQuery",
    "toolchainstatuses": "ToolChainStatus",
    "spiaccesstokendataupdates": "SPIAccessTokenDataUpdate",
}


class Dropped(Exception):
    pass


def rows_of(line: str) -> list[str]:
    """Several JSON texts on a line are as many rows; a line of anything else is one."""
    rows, rest = [], line.strip()
    try:
        while rest:
            _, end = json.JSONDecoder().raw_decode(rest)
            rows.append(rest[:end])
            rest = rest[end:].strip()
    except ValueError:
        return [line]
    return rows


def plain(line: str, ids: dict[str, str], workspaces: dict[str, str]) -> dict[str, Any]:  # noqa: C901
    """The event; raises `Dropped` with "error" or the reason."""
    record = _parsed(line)
    if record is None:
        raise Dropped("no result")
    if not isinstance(record, dict):
        raise Dropped("error")
    if not record.keys() & {"result", "preview", "lastrow", "messages"}:
        raise Dropped("not a row of Splunk")
    result = record.get("result")
    if result is None or result is False:
        raise Dropped("no result")
    if not isinstance(result, dict) or not isinstance(result.get("namespace"), str):
        raise Dropped("error")
    workspace = workspaces.get(result["namespace"])
    if workspace is None:
        raise Dropped("namespace without a workspace")
    workspace_id = ids.get(workspace)
    if workspace_id is None:
        raise Dropped("workspace without a user id")
    user = _or(result.get("userId"), workspace)
    if not isinstance(user, str):
        raise Dropped("error")
    if user not in ids:
        raise Dropped("user without an id")
    event = _event(result)
    properties = _decoded(result.get("properties"))
    if properties is None:
        properties = {}
    if not isinstance(properties, dict):
        raise Dropped("error")
    properties["workspaceID"] = workspace_id
    return {
        "messageId": result.get("messageId"),
        "timestamp": result.get("timestamp"),
        "namespace": result["namespace"],
        "type": result.get("type"),
        "userId": ids[user],
        "event": event,
        "properties": properties,
        "context": _decoded(result.get("context")),
    }


def _or(value: Any, otherwise: Any) -> Any:
    return otherwise if value is None or value is False else value


def _event(result: dict[str, Any]) -> Any:
    if _or(result.get("event"), None) is not None:
        return result["event"]
    subject, verb = result.get("event_subject"), result.get("event_verb")
    if not isinstance(subject, str) or not isinstance(verb, str):
        raise Dropped("error")
    return SUBJECTS.get(subject, subject) + " " + VERBS.get(verb, verb)


def _decoded(text: Any) -> Any:
    if not isinstance(text, str):
        raise Dropped("error")
    return _parsed(text)


def _parsed(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_no_constant)
    except ValueError:
        raise Dropped("error") from None


def _no_constant(name: str) -> Any:
    raise ValueError(name)
