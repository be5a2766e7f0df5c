"""The JSON report of one evaluation: insights-core's own, as plain data in a stable order."""

import json
from collections.abc import Callable, Iterator
from typing import Any, Final

import orjson
from insights.combiners.hostname import Hostname
from insights.core import dr
from insights.core.context import ExecutionContext
from insights.formats import get_response_of_types
from insights.formats._json import JsonFormat

_AS_JSON_DOES: Final = (
    orjson.OPT_NON_STR_KEYS | orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME
)

Failed = Callable[[str, str], None]
"""Called with a component and the reason why its response cannot be used."""


class Report(JsonFormat):  # type: ignore[misc]
    """Collects the responses of rules."""

    def __init__(self, broker: dr.Broker, context: type[ExecutionContext] | None, failed: Failed) -> None:
        super().__init__(broker, stream=None)
        self.context_cls = context
        self._failed = failed

    def handle_rule(self, rule: Any, response: Any) -> None:
        """Add one rule's response."""
        try:
            self.handle_result(rule, response)
        except Exception as error:  # noqa: BLE001  # whatever a response of a rule's own making does
            self._failed(dr.get_name(rule), f"its response cannot be reported: {error}")

    def skips(self) -> Iterator[tuple[str, str]]:
        """Yield the rules that could not run, each with its missing dependencies."""
        for skip in self.rule_skips:
            yield skip["rule_fqdn"], skip["details"]

    def finished(self) -> dict[str, Any]:
        """Return the report as its JSON decodes; report and leave out responses that JSON cannot represent."""
        if Hostname in self.broker:
            self.hostname = self.broker[Hostname].fqdn
        report = get_response_of_types(self.get_response(), missing=False, show_rules=[])
        for entries in _lists_of_responses(report):
            for entry in entries:
                entry["tags"].sort()
            entries.sort(key=lambda entry: (entry["component"], str(entry["key"])))
        try:
            return _plain(report)
        except (TypeError, ValueError, RecursionError):
            return _plain(self._without_what_is_no_json(report))

    def _without_what_is_no_json(self, report: dict[str, Any]) -> dict[str, Any]:
        for entries in _lists_of_responses(report):
            entries[:] = [entry for entry in entries if self._is_json(entry, entry["component"])]
        metadata = report["system"]["metadata"]
        for key in [
            key for key, value in metadata.items() if not self._is_json({key: value}, f"metadata {key}")
        ]:
            del metadata[key]
        return {key: value for key, value in report.items() if self._is_json({key: value}, str(key))}

    def _is_json(self, value: dict[str, Any], component: str) -> bool:
        try:
            _plain(value)
        except (TypeError, ValueError, RecursionError) as error:
            self._failed(component, f"its response is not JSON: {error}")
            return False
        return True


def _lists_of_responses(report: dict[str, Any]) -> Iterator[list[dict[str, Any]]]:
    for value in report.values():
        if isinstance(value, list) and value and isinstance(value[0], dict) and "component" in value[0]:
            yield value


def _plain(value: dict[str, Any]) -> dict[str, Any]:
    # NaN and infinity, which Python writes although JSON has no form for them, become null.
    plain: dict[str, Any]
    try:
        plain = orjson.loads(orjson.dumps(value, option=_AS_JSON_DOES))
    except TypeError:
        # Integers beyond 64 bits, subclasses of tuple and lone surrogates need the standard library; other values fail
        # in both.
        plain = json.loads(json.dumps(value), parse_constant=lambda _name: None)
    return plain
