"""The interface of LLMs, and the built-in responder."""

import re
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from headrace.runtime.errors import Permanent, Retryable
from headrace_services.ols.prompts import Message, estimated_tokens


class LlmUnavailable(Retryable):
    """The LLM is away, too slow or busy."""


class LlmRefused(Permanent):
    """The LLM refuses the question; repeating does not help."""


class PromptTooLong(LlmRefused):
    """The LLM says that the question does not fit into its context."""


@dataclass(frozen=True)
class Usage:
    """The numbers of tokens as the LLM counts them; None if it does not say."""

    sent: int | None = None
    received: int | None = None

    def input_tokens(self, messages: Sequence[Message]) -> int:
        """The number of sent tokens, estimated if the LLM does not report it."""
        if self.sent is not None:
            return self.sent
        return sum(estimated_tokens(message["content"]) for message in messages)

    def output_tokens(self, answer: str) -> int:
        """The number of received tokens, estimated if the LLM does not report it."""
        return estimated_tokens(answer) if self.received is None else self.received


class Llm(Protocol):
    """One model. Both methods raise `LlmUnavailable` and `LlmRefused`."""

    async def complete(self, messages: Sequence[Message]) -> tuple[str, Usage]:
        """Return the whole answer."""
        ...

    def stream(self, messages: Sequence[Message]) -> AsyncGenerator[str | Usage, None]:
        """Yield the answer's pieces as they arrive, and at the end the usage if the LLM reports it."""
        ...


_SHOWN: Final = 200


class BuiltIn:
    """Answers without an LLM, and identifies itself as such."""

    async def complete(self, messages: Sequence[Message]) -> tuple[str, Usage]:
        """Return the answer at once."""
        return self._answer(messages), Usage()

    async def stream(self, messages: Sequence[Message]) -> AsyncGenerator[str | Usage, None]:
        """Yield the answer word by word."""
        for word in re.findall(r"\s*\S+", self._answer(messages)):
            yield word

    def _answer(self, messages: Sequence[Message]) -> str:
        question = messages[-1]["content"].partition("\n\nFor reference, ")[0].strip()
        shown = question if len(question) <= _SHOWN else f"{question[:_SHOWN]}…"
        earlier = sum(message["role"] == "user" for message in messages) - 1
        before = f" after {earlier} earlier question{'s' * (earlier > 1)}" if earlier else ""
        return (
            "This is Headrace's built-in responder, not a language model: it knows nothing about your "
            f"cluster. You asked{before}: {shown}\n\nFor real answers, configure an OpenAI-compatible "
            "endpoint (OLS_LLM_URL, or llm_providers in olsconfig.yaml)."
        )
