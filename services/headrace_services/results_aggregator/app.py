"""Connects the aggregator's parts: reports from Kafka into PostgreSQL, REST, and the deletion of old reports."""

import asyncio
from datetime import timedelta
from types import MappingProxyType

from headrace.rules.catalogue import Catalogue, RuleContent
from headrace.runtime.errors import ConfigurationError
from headrace.runtime.logging import get_logger
from headrace.service.context import Context
from headrace_services.results_aggregator.api import Api
from headrace_services.results_aggregator.handlers import Aggregator
from headrace_services.results_aggregator.metrics import EXPORTED
from headrace_services.results_aggregator.retention import keep_forgetting
from headrace_services.results_aggregator.settings import AggregatorSettings, load_settings, read_allowlist
from headrace_services.results_aggregator.store import AggregatorStore

_log = get_logger(__name__)


async def start(context: Context) -> None:
    """Consume, serve, forget."""
    settings, idle = load_settings()
    for name, reason in idle.items():
        _log.warning("setting_without_effect", name=name, reason=reason)
    EXPORTED.namespace = settings.metrics_namespace
    database = await context.database()
    store = AggregatorStore(database, follow=context.clusters_follow)
    aggregator = Aggregator(store, read_allowlist(settings))
    reports, *workloads = context.row.consumes
    await context.consume(reports, aggregator.handle_report)
    for item in workloads:
        await context.consume(item, aggregator.handle_workloads)
    catalogue = await asyncio.to_thread(_catalogue, settings)
    api = Api(database, settings, lenient=context.lenient, catalogue=catalogue)
    await context.listen(api.application(), port=settings.port)
    if settings.retention_days:
        age = timedelta(days=settings.retention_days)
        context.spawn("retention", lambda: keep_forgetting(store, age))


def _catalogue(settings: AggregatorSettings) -> Catalogue:
    """What the installed packages say of their rules; a package may be where the rules run and not here."""
    found: dict[str, RuleContent] = {}
    for package in settings.content_packages:
        try:
            found |= Catalogue.of([package]).rules
        except ConfigurationError as error:
            _log.warning("content_missing", reason=str(error))
    return Catalogue(MappingProxyType(found))
