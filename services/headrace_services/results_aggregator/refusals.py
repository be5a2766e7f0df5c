"""How the API refuses a request, in upstream's words."""

from typing import Final

from headrace.web.errors import Refusal
from headrace.web.parameters import shown

FOREIGN: Final = (
    "you have no permissions to get or change info about the organization with ID {asked};"
    " you can access info about organization with ID {own}"
)
# Nobody is told whose a cluster is.
FOREIGN_CLUSTER: Final = "you have no permissions to get or change info about this organization"


def error_body(_status: int, reason: str) -> dict[str, str]:
    """Upstream's error shape."""
    return {"status": reason}


def bad(text: str) -> Refusal:
    """The request cannot be used."""
    return Refusal(400, text)


def unparsable(name: str, value: str, why: str) -> Refusal:
    """A parameter is not of its form."""
    return bad(f"Error during parsing param '{name}' with value '{shown(value)}'. Error: '{why}'")


def invalid(name: str, value: object, why: str) -> Refusal:
    """A parameter is of its form, yet not acceptable."""
    return bad(f"Error during validating param '{name}' with value '{shown(str(value))}'. Error: '{why}'")


def forbidden(asked: object = None, own: int | None = None) -> Refusal:
    """Another organisation's: one that the request names, or, without it, whoever has the cluster."""
    return Refusal(403, FOREIGN.format(asked=asked, own=own) if asked else FOREIGN_CLUSTER)


def not_found(*parts: object) -> Refusal:
    """Upstream's text; the parts are the item's id."""
    item = "/".join(str(part) for part in parts)
    return Refusal(404, f"Item with ID {item} was not found in the storage")
