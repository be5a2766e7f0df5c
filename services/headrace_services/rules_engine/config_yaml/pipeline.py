"""The engine of a config.yaml, with the user's own classes in place of Headrace's."""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from insights.core import dr

from headrace.bus.delivery import Delivery
from headrace.bus.producer import Outgoing, Producer
from headrace.contracts.announcement import UnjudgedAnnouncement
from headrace.rules.evaluation import Evaluation
from headrace.rules.workers.pool import RulesTimedOut
from headrace_services.rules_engine.config_yaml.adapters import OwnPublisher, OwnWatchers
from headrace_services.rules_engine.config_yaml.plan import EngineForm
from headrace_services.rules_engine.handlers import Evaluator, RulesEngine
from headrace_services.rules_engine.messages import Upload, upload_of
from headrace_services.rules_engine.publishing import Publication

STDOUT: Final = "standard output"
NOWHERE: Final = "nowhere (the publisher does nothing)"


@dataclass(frozen=True)
class Response(Publication):
    """The engine's response for a publisher of the framework: text, or None."""

    engine: EngineForm = EngineForm.REPORT

    def message(self, upload: Upload, cluster: str, evaluation: Evaluation) -> Outgoing | None:  # noqa: ARG002
        """Return the response; its topic's name, such as `STDOUT`, selects another target than a Kafka topic."""
        text = response_text(self.engine, evaluation)
        return Outgoing(self.topic, None if text is None else text.encode(), None, ())


def response_text(engine: EngineForm, evaluation: Evaluation) -> str | None:
    """Return the text of the framework's engine for an evaluation."""
    if engine is EngineForm.WORKLOAD_INFO:
        info = evaluation.workload_info
        return None if info is None else info.decode(errors="surrogateescape")
    return json.dumps(evaluation.report)


class Routes(Producer):
    """Sends each message by its topic's name, because statuses and results may have different brokers, or none."""

    def __init__(
        self,
        producers: Mapping[str, Producer],
        own: OwnPublisher | None = None,
        message: Mapping[str, Any] | None = None,
    ) -> None:
        self._producers = producers
        self._own = own
        self._message = message

    def of(self, message: Mapping[str, Any]) -> "Routes":
        """Return the routes of one message, which the user's own publisher gets with its results."""
        return Routes(self._producers, self._own, message)

    async def send_all(self, messages: Sequence[Outgoing], *, timeout_seconds: float = 10.0) -> None:
        """Send messages and wait for all acknowledgements, in the order of their kinds; raises like `Producer`."""
        for name in dict.fromkeys(item.topic_name for item in messages):
            of_topic = [item for item in messages if item.topic_name == name]
            if name in self._producers:
                await self._producers[name].send_all(of_topic, timeout_seconds=timeout_seconds)
                continue
            for item in of_topic:
                await self._hand_over(item)

    async def _hand_over(self, item: Outgoing) -> None:
        text = None if item.value is None else item.value.decode(errors="surrogateescape")
        if self._own is not None and self._message is not None:
            await self._own.publish(self._message, text)
        elif item.topic_name == STDOUT:
            sys.stdout.write(f"{text or ''}\n")
            sys.stdout.flush()


@dataclass(frozen=True)
class OwnEngine:
    """The engine with calls of the user's own classes for each message."""

    engine: RulesEngine
    form: EngineForm
    routes: Routes
    publisher: OwnPublisher | None
    watchers: OwnWatchers

    async def handle(self, message: UnjudgedAnnouncement, delivery: Delivery) -> str:
        """Handle like `RulesEngine.handle`; the user's own classes see each attempt as a separate message."""
        upload = upload_of(message)
        told = input_message(upload)
        await self.watchers.fire("on_recv", told)
        passage = _Passage(self, told)
        engine = replace(self.engine, evaluator=passage, producer=self.routes.of(told))
        try:
            text = await engine.handle(message, delivery)
        except Exception as error:
            if self.publisher is not None:
                await self.publisher.error(told, error)
            if isinstance(error, RulesTimedOut):
                await self.watchers.fire("on_process_timeout")
            await self.watchers.fire("on_consumer_failure", told, error)
            await self.watchers.fire("on_consumer_complete", told)
            raise
        await self.watchers.fire("on_consumer_success", told, passage.broker, passage.response)
        await self.watchers.fire("on_consumer_complete", told)
        return text


class _Passage(Evaluator):
    """The state of one message in the engine, as watchers see it."""

    def __init__(self, own: OwnEngine, message: dict[str, Any]) -> None:
        self._own = own
        self._message = message
        self.broker = dr.Broker()
        self.response: str | None = None

    async def evaluate(self, archive: bytes, seeds: Mapping[str, Any]) -> Evaluation:
        """Evaluate the archive, and call watchers before and after."""
        watchers = self._own.watchers
        for name, value in seeds.items():
            self.broker[name] = value
        await watchers.engine_begins(self.broker, archive)
        try:
            evaluation = await self._own.engine.evaluator.evaluate(archive, seeds)
        except Exception as error:
            await watchers.fire("on_engine_failure", self.broker, error)
            await watchers.fire("on_engine_complete", self.broker)
            raise
        if not self._message.get("cluster_name"):
            self._message["cluster_name"] = evaluation.cluster_id
        self.response = response_text(self._own.form, evaluation)
        await watchers.fire("on_engine_success", self.broker, self.response)
        await watchers.fire("on_engine_complete", self.broker)
        await watchers.fire("on_process", self._message, self.response)
        return evaluation


def input_message(upload: Upload) -> dict[str, Any]:
    """Return a message in the form of the pipeline's classes: with the decoded identity and the cluster's name."""
    attributes = {name: value for name, value in upload.attributes.items() if name != "b64_identity"}
    return {**attributes, "identity": upload.identity, "cluster_name": upload.cluster_name}
