"""The base class of publishers."""

from typing import Any


class Publisher:
    """A publisher that does nothing."""

    def publish(self, input_msg: Any, response: Any) -> None:
        """Publish the response for one message."""

    def error(self, input_msg: Any, ex: BaseException) -> None:
        """Publish the failure of one message."""
