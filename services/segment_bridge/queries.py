"""The eight queries, as data."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Query:
    """One of them."""

    title: str

    def spl(self, index: str) -> str:
        """The text Splunk is given."""
        return f'search index="{index}" log_type=audit'


QUERIES = (Query("Application"),)
