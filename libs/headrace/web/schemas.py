"""The JSON Schemas of the OpenAPI documents, in the dialect of OpenAPI 3.1."""

from typing import Any, Final

Json = dict[str, Any]

TEXT: Final[Json] = {"type": "string"}
# A text column of PostgreSQL cannot store NUL.
STORED_TEXT: Final[Json] = {"type": "string", "pattern": "^[^\\u0000]*$"}
BOOLEAN: Final[Json] = {"type": "boolean"}
COUNT: Final[Json] = {"type": "integer", "minimum": 0}
NUMBER: Final[Json] = {"type": "number"}
MOMENT: Final[Json] = {"type": "string", "format": "date-time"}
UUID: Final[Json] = {"type": "string", "format": "uuid"}
OBJECT: Final[Json] = {"type": "object"}
BINARY: Final[Json] = {"type": "string", "format": "binary"}


def array(items: Json, **bounds: Any) -> Json:
    """Return a list of ``items``; ``bounds`` are keywords such as ``minItems``."""
    return {"type": "array", "items": items, **bounds}


def record(required: tuple[str, ...] | None = None, /, **properties: Json) -> Json:
    """Return an object whose properties are all required unless ``required`` names the required ones."""
    names = tuple(properties) if required is None else required
    schema: Json = {"type": "object", "properties": properties}
    return schema | ({"required": list(names)} if names else {})


def closed(schema: Json) -> Json:
    """Return an object without other properties."""
    return schema | {"additionalProperties": False}


def whole(**properties: Json) -> Json:
    """An object with all of these properties and no others."""
    return closed(record(**properties))


def mapping(values: Json, **more: Any) -> Json:
    """Return an object whose properties all have one schema, whatever their names."""
    return {"type": "object", "additionalProperties": values, **more}


def nullable(schema: Json) -> Json:
    """Return the schema with null added."""
    return {**schema, "type": [schema["type"], "null"]}


def reference(name: str) -> Json:
    """Return a reference to a schema of the document's components."""
    return {"$ref": f"#/components/schemas/{name}"}
