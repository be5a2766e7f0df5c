"""From a question to its answer; except for the LLM, nothing here does I/O."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import uuid4

from headrace.contracts.message import utc_now
from headrace.runtime.logging import get_logger
from headrace_services.ols import metrics, records
from headrace_services.ols.bodies import Attachment, LLMRequest, is_uuid
from headrace_services.ols.callers import Caller
from headrace_services.ols.conversations import Conversations, Turn
from headrace_services.ols.llm import Llm, LlmRefused, LlmUnavailable, PromptTooLong, Usage
from headrace_services.ols.olsconfig import Configuration, Model
from headrace_services.ols.prompts import (
    DEFAULT_PROMPT,
    Message,
    check_attachments,
    messages,
    too_long,
    with_attachments,
)
from headrace_services.ols.redactor import Redactor
from headrace_services.ols.refusals import Problem, problem
from headrace_services.ols.store import UserData

_log = get_logger(__name__)

NO_ANSWER: Final = "Error while obtaining answer for user question"


@dataclass
class Question:
    """A valid question, and the answer so far."""

    caller: Caller
    sent: LLMRequest
    conversation_id: str
    query: str
    attachments: Sequence[Attachment]
    provider: str
    model: str
    prompt: list[Message]
    truncated: bool
    pieces: list[str] = field(default_factory=list)
    usage: Usage = field(default_factory=Usage)

    @property
    def answer(self) -> str:
        """The answer so far."""
        return "".join(self.pieces)

    @property
    def tokens(self) -> dict[str, int]:
        """The numbers of tokens of the answer."""
        return {
            "input_tokens": self.usage.input_tokens(self.prompt),
            "output_tokens": self.usage.output_tokens(self.answer),
        }


class Questions:
    """Sends questions to LLMs, by provider and model, and stores the turns."""

    def __init__(
        self,
        configuration: Configuration,
        llms: Mapping[tuple[str, str], Llm],
        conversations: Conversations,
        user_data: UserData,
    ) -> None:
        self._configuration = configuration
        self._llms = llms
        self._conversations = conversations
        self._user_data = user_data
        self._redactor = Redactor(configuration.filters)

    async def prepare(self, caller: Caller, sent: LLMRequest) -> Question:
        """Check and redact; raises a `Problem` for an invalid question."""
        conversation_id = sent.conversation_id or str(uuid4())
        if not is_uuid(conversation_id):
            cause = f"Invalid conversation ID {conversation_id}"
            raise problem(400, "Error retrieving conversation history", cause)
        query = self._redactor.text(sent.query)
        attachments = await self._redactor.attachments(sent.attachments or ())
        provider, model = self._chosen(sent)
        check_attachments(attachments)
        prompt, truncated = messages(
            self._system_prompt(sent),
            self._conversations.turns(caller.user_id, conversation_id),
            with_attachments(query, attachments),
            limit_tokens=model.prompt_tokens,
        )
        return Question(
            caller, sent, conversation_id, query, attachments, provider, model.name, prompt, truncated
        )

    def _chosen(self, sent: LLMRequest) -> tuple[str, Model]:
        configuration = self._configuration
        # An empty name counts as the name of an unknown provider.
        provider = configuration.default_provider if sent.provider is None else sent.provider
        model = configuration.default_model if sent.model is None else sent.model
        known = configuration.providers.get(provider)
        if known is None:
            valid = list(configuration.providers)
            raise _unsupported(f"Provider '{provider}' is not a valid provider. Valid providers are: {valid}")
        found = next((item for item in known.models if item.name == model), None)
        if found is None:
            raise _unsupported(
                f"Model '{model}' is not a valid model for provider '{provider}'."
                f" Valid models are: {[item.name for item in known.models]}"
            )
        if (provider, model) not in self._llms:
            raise _unsupported(f"LLM providers of type {known.type} are not supported")
        return provider, found

    def _system_prompt(self, sent: LLMRequest) -> str:
        own = sent.system_prompt if self._configuration.may_override_prompt else None
        return own or self._configuration.system_prompt or DEFAULT_PROMPT

    async def complete(self, question: Question) -> None:
        """Ask, wait, store; raises a `Problem` if there is no answer."""
        try:
            text, question.usage = await self._llm(question).complete(question.prompt)
        except (LlmUnavailable, LlmRefused) as error:
            raise _failed(error) from None
        question.pieces = [text]
        await self._keep(question)

    async def stream(self, question: Question) -> AsyncGenerator[str, None]:
        """Yield the pieces of the answer; it is stored when it is complete. Raises a `Problem` if it is truncated."""
        pieces = self._llm(question).stream(question.prompt)
        try:
            async with aclosing(pieces):
                async for piece in pieces:
                    if isinstance(piece, Usage):
                        question.usage = piece
                    else:
                        question.pieces.append(piece)
                        yield piece
        except (LlmUnavailable, LlmRefused) as error:
            raise _failed(error) from None
        await self._keep(question)

    def _llm(self, question: Question) -> Llm:
        metrics.LLM_CALLS.labels(question.provider, question.model).inc()
        return self._llms[question.provider, question.model]

    async def _keep(self, question: Question) -> None:
        labels = (question.provider, question.model)
        metrics.TOKENS_SENT.labels(*labels).inc(question.tokens["input_tokens"])
        metrics.TOKENS_RECEIVED.labels(*labels).inc(question.tokens["output_tokens"])
        user_id, conversation_id = question.caller.user_id, question.conversation_id
        turn = Turn(question.prompt[-1]["content"], question.answer)
        self._conversations.remember(user_id, conversation_id, turn)
        metrics.CONVERSATIONS.set(len(self._conversations))
        await self._user_data.transcript(
            records.transcript(
                user_id=user_id,
                conversation_id=conversation_id,
                provider=question.provider,
                model=question.model,
                sent=question.sent,
                query=question.query,
                answer=question.answer,
                truncated=question.truncated,
                attachments=question.attachments,
                now=utc_now(),
            )
        )
        _log.info("answered", provider=question.provider, model=question.model, **question.tokens)


def answered(question: Question) -> dict[str, Any]:
    """Return the body of a whole answer."""
    return {
        "conversation_id": question.conversation_id,
        "response": question.answer,
        "referenced_documents": [],
        "truncated": question.truncated,
        **question.tokens,
        "available_quotas": {},
        "tool_calls": [],
        "tool_results": [],
    }


def _unsupported(cause: str) -> Problem:
    return problem(422, "Unable to process this request", cause)


def _failed(error: LlmUnavailable | LlmRefused) -> Problem:
    metrics.LLM_FAILURES.inc()
    _log.warning("no_answer", kind=type(error).__name__)
    if isinstance(error, PromptTooLong):
        return too_long(str(error))
    return problem(503 if isinstance(error, LlmUnavailable) else 500, NO_ANSWER, str(error))
