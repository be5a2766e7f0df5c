"""How the API refuses a request, in upstream's words."""

from typing import Any

from headrace.web.errors import Refusal


class Invalid(Refusal):
    """The request cannot be processed as it is."""

    def __init__(self, reason: str) -> None:
        super().__init__(400, f"bad request: {reason}")


class Unfit(Invalid):
    """The body's content is not acceptable."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"Validation failed: {reason}")


class NotFound(Refusal):
    """The resource does not exist, or belongs to another tenant."""

    def __init__(self, singular: str) -> None:
        super().__init__(404, f"{singular} not found")


class Unauthorized(Refusal):
    """The client is unknown or lacks the permission."""

    def __init__(self, reason: str) -> None:
        super().__init__(401, reason)


class MethodRefused(Refusal):
    """This kind of identity may not use the method."""

    def __init__(self) -> None:
        super().__init__(405, "Method not allowed", headers={"Allow": "GET,POST"})


def error_body(status: int, reason: str) -> dict[str, Any]:
    """Return an error in upstream's form."""
    return {"errors": [{"detail": reason, "status": str(status)}]}
