"""Where results go."""

from typing import Any


class Publisher:
    """Does nothing with what it is given."""

    def publish(self, input_msg: Any, response: Any) -> None:
        """Take one message and what the engine made of its archive."""

    def error(self, input_msg: Any, ex: BaseException) -> None:
        """Take one message and why it failed."""
