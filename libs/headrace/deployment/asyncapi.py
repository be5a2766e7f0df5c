"""The AsyncAPI 3 document: every topic with its messages, producers and consumers."""

import json
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any, Final

from pydantic.json_schema import models_json_schema

from headrace.bus.consumption import Consumption
from headrace.contracts.message import Message
from headrace.contracts.topics import Topic
from headrace.runtime.set_by import Setting
from headrace.runtime.settings import EngineSettings
from headrace.service.row import Service

Json = dict[str, Any]

_SCHEMAS: Final = "#/components/schemas/{model}"


def asyncapi(rows: Sequence[Service]) -> str:
    """Return the document as JSON."""
    topics = [topic for row in rows for topic in row.topics]
    messages = {topic.message.__name__: topic.message for topic in topics}
    document = {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Headrace",
            "version": version("headrace"),
            "description": "The topics of the platform. `make docs` writes this document from the services' table.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {
            "kafka": {
                "host": EngineSettings.model_fields["kafka"].default,
                "protocol": "kafka",
                "description": "`HEADRACE_KAFKA` names the brokers.",
            }
        },
        "channels": _channels(topics),
        "operations": {name: body for row in rows for name, body in _operations(row)},
        "components": {
            "messages": {name: _message(message) for name, message in sorted(messages.items())},
            "schemas": _schemas(list(messages.values())),
        },
    }
    return json.dumps(document, indent=1) + "\n"


def _channels(topics: Sequence[Topic[Any]]) -> Json:
    found: dict[str, Json] = {}
    for topic in topics:
        channel = found.setdefault(
            topic.name,
            {
                "address": topic.name,
                "description": (
                    f"A message that cannot be handled goes to `{topic.dead_letters}`, with the reason and "
                    "its origin in headers."
                ),
                "messages": {},
                "bindings": {"kafka": {"topic": topic.name, "partitions": topic.partitions}},
            },
        )
        name = topic.message.__name__
        channel["messages"][name] = {"$ref": f"#/components/messages/{name}"}
    return dict(sorted(found.items()))


def _operations(row: Service) -> list[tuple[str, Json]]:
    received = [
        (
            f"{row.name}.receive.{item.topic.name}",
            _operation("receive", row, item.topic) | _terms(item),
        )
        for item in row.consumes
    ]
    sent = [
        (f"{row.name}.send.{topic.name}", _operation("send", row, topic, row.set_by.get(topic.name)))
        for topic in _by_name(row.produces)
    ]
    return [*received, *sent]


def _by_name(topics: Sequence[Topic[Any]]) -> list[Topic[Any]]:
    return list({topic.name: topic for topic in topics}.values())


def _operation(action: str, row: Service, topic: Topic[Any], setting: Setting | None = None) -> Json:
    operation: Json = {
        "action": action,
        "channel": {"$ref": f"#/channels/{topic.name}"},
        "summary": f"{row.name} {row.summary}",
        "tags": [{"name": row.name}],
        "messages": [{"$ref": f"#/channels/{topic.name}/messages/{topic.message.__name__}"}],
    }
    if setting and setting.is_opt_in:
        operation["description"] = f"The topic is {setting.text}. Nothing is sent unless that is set."
    elif setting:
        operation["description"] = f"Where it is set, the topic is {setting.text}."
    return operation


def _terms(consumption: Consumption) -> Json:
    set_by = consumption.set_by
    group: Json = {"type": "string", "default" if "group" in set_by else "const": consumption.group}
    told = [
        f"Where it is set, the {name} is {set_by[name].text}."
        for name in ("topic", "group")
        if name in set_by
    ]
    if consumption.header:
        values = ", ".join(f"`{value}`" for value in sorted(consumption.values))
        told.append(f"Only records whose header `{consumption.header}` is one of: {values}.")
        if "values" in set_by:
            told.append(f"These are {set_by['values'].text}.")
    terms: Json = {"bindings": {"kafka": {"groupId": group}}}
    return terms | ({"description": " ".join(told)} if told else {})


def _message(message: type[Message]) -> Json:
    name = message.__name__
    return {
        "name": name,
        "summary": (message.__doc__ or name).strip().splitlines()[0],
        "contentType": "application/json",
        "payload": {"$ref": _SCHEMAS.format(model=name)},
    }


def _schemas(messages: Sequence[type[Message]]) -> Json:
    _, document = models_json_schema([(message, "validation") for message in messages], ref_template=_SCHEMAS)
    definitions: Json = document["$defs"]
    return dict(sorted(definitions.items()))
