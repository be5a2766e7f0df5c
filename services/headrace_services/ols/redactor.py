"""Removes text from questions and attachments as configured."""

import asyncio
from collections.abc import Sequence

from headrace_services.ols.bodies import Attachment
from headrace_services.ols.olsconfig import QueryFilter


class Redactor:
    """Filters, applied one after another."""

    def __init__(self, filters: Sequence[QueryFilter]) -> None:
        self._filters = tuple(filters)

    def text(self, text: str) -> str:
        """Return the text without the parts that the filters match."""
        for item in self._filters:
            text = item.pattern.sub(item.replace_with, text)
        return text

    async def attachments(self, attachments: Sequence[Attachment]) -> list[Attachment]:
        """Return redacted attachments; let other tasks run after each megabyte."""
        found = []
        for attachment in attachments:
            found.append(attachment.model_copy(update={"content": self.text(attachment.content)}))
            await asyncio.sleep(0)
        return found
