"""Consumers of reports take versions 1 and 2; a report without one would be an unknown to them."""

from typing import Any, Final

from insights.core.plugins import make_metadata_key, rule

VERSION: Final = 2


@rule()
def report() -> Any:
    """Say it at the report's top, from where it gets into the message."""
    return make_metadata_key("version", VERSION)
