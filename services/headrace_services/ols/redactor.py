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
        """The text without what the filters find."""
        for item in self._filters:
            text = item.pattern.sub(item.replace_with, text)
        return text

    async def attachments(self, attachments: Sequence[Attachment]) -> list[Attachment]:
        """The same in attachments; a megabyte of them lets others work in between."""
        found = []
        for attachment in attachments:
            found.append(attachment.model_copy(update={"content": self.text(attachment.content)}))
            await asyncio.sleep(0)
        return found
