"""Connects the parts of ols_collector: settings, file, loop, health."""

import logging

from headrace.service.context import Context
from headrace_services.ols_collector.collector import Collector
from headrace_services.ols_collector.config import plan_of, read_settings
from headrace_services.ols_collector.metrics import count
from headrace_services.ols_collector.status import Status


async def start(context: Context) -> None:
    """Collect until the process stops."""
    plan = plan_of(read_settings(), context.shared.process)
    if plan.log_level != "INFO":
        # Without a level for the collector, the process' own level applies.
        logging.getLogger("ols_collector").setLevel(plan.log_level)
    collector = Collector(plan, Status(observe=count))
    context.health.add("collects", lambda: collector.status.problem)
    context.health.tell("collector", collector.status.report)
    context.on_stop(collector.stop)
    context.spawn("collect", collector.run)
