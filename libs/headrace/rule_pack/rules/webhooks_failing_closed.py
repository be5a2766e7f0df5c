"""Admission webhooks that refuse everything because nobody answers them."""

import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

from insights.core.plugins import Response, make_fail, make_pass, rule

from headrace.rules.details import offenders
from headrace.rules.parsers.access import Webhook, WebhookConfiguration
from headrace.rules.parsers.cluster import ClusterOperator, ClusterVersion
from headrace.rules.parsers.pods import Events
from headrace.rules.reading import MAX_TEXT_CHARACTERS, objects, text

ERROR_KEY: Final = "WEBHOOKS_FAILING_CLOSED"
GOOD_KEY: Final = "WEBHOOKS_ANSWERING"
OPEN_KEY: Final = "WEBHOOKS_FAILING_OPEN"
UNKNOWN_KEY: Final = "NO_WEBHOOK_FAILURES_TOLD"
_MAX_MESSAGE_CHARACTERS: Final = 2_000
_FAILED: Final = re.compile(r'failed calling webhook "([^"]{1,253})"')
_SERVICE: Final = re.compile(r'(?:no endpoints available for service|service) "([^"]{1,253})"')
_NOBODY: Final = ("no endpoints available for service", "not found", "connection refused", "no such host")


@rule(
    [ClusterOperator, ClusterVersion, Events],
    optional=[WebhookConfiguration],
    tags=["webhooks", "service_availability"],
)
def report(
    operators: list[ClusterOperator] | None,
    version: ClusterVersion | None,
    events: list[Events] | None,
    configurations: list[WebhookConfiguration] | None,
) -> Response | None:
    """Hit when a condition or an event tells of a webhook that nobody answered.

    Archives hold no endpoints. The API server tells of such a call only when the webhook fails closed, so one
    whose configuration is not in the archive counts too. That nobody tells of one says that all answer only where
    the configurations are there; one that nobody answers and that fails open passes under its own key.
    """
    known = {webhook.name: webhook for one in configurations or () for webhook in one.webhooks}
    found: dict[str, dict[str, Any]] = {}
    passed_over: set[str] = set()
    messages = list(_messages(operators or (), version, events or ()))
    for where, message in messages:
        failed = _FAILED.search(message)
        if failed is None or not any(sign in message for sign in _NOBODY):
            continue
        webhook = known.get(failed[1])
        if webhook is None or webhook.fails_closed:
            found.setdefault(failed[1], _entry(failed[1], webhook, where, message[failed.end() :]))
        else:
            passed_over.add(failed[1])
    if not found:
        return _passed(known, passed_over, len(messages))
    return make_fail(ERROR_KEY, **offenders("webhooks", [found[name] for name in sorted(found)]))


def _passed(known: dict[str, Webhook], passed_over: set[str], messages: int) -> Response | None:
    if passed_over:
        return make_pass(OPEN_KEY, **offenders("webhooks", [{"name": name} for name in sorted(passed_over)]))
    if known and messages:
        closed = sum(1 for webhook in known.values() if webhook.fails_closed)
        return make_pass(GOOD_KEY, webhooks=len(known), failing_closed=closed, messages=messages)
    return make_pass(UNKNOWN_KEY, messages=messages) if messages else None


def _messages(
    operators: Iterable[ClusterOperator], version: ClusterVersion | None, events: Iterable[Events]
) -> Iterator[tuple[str, str]]:
    for operator in operators:
        for one in objects(operator.excerpt, "status", "conditions"):
            yield f"clusteroperator/{operator.name}", text(one, "message", limit=_MAX_MESSAGE_CHARACTERS)
    for one in objects(version.excerpt, "status", "conditions") if version else ():
        yield "clusterversion", text(one, "message", limit=_MAX_MESSAGE_CHARACTERS)
    for event in (item for file in events for item in file.items):
        yield f"events in {event.namespace}", event.message


def _entry(name: str, webhook: Webhook | None, where: str, why: str) -> dict[str, Any]:
    service = _SERVICE.search(why)
    return {
        "name": name,
        "configuration": webhook.configuration if webhook else "",
        "service": (webhook.service if webhook else "") or (service[1] if service else ""),
        "seen_in": where,
        "message": why.lstrip(": ")[:MAX_TEXT_CHARACTERS],
    }
