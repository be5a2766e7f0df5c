"""Connects the parts of segment_bridge: Splunk and the maps in, Segment out, PostgreSQL for the ledger and the runs."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import datetime
from functools import partial
from pathlib import Path

from headrace.runtime.errors import ConfigurationError
from headrace.runtime.settings import is_set
from headrace.service.context import Context
from headrace_services.segment_bridge.handlers import Schedule
from headrace_services.segment_bridge.ledger import PostgresLedger
from headrace_services.segment_bridge.map_sources import read_maps
from headrace_services.segment_bridge.netrc import login_for
from headrace_services.segment_bridge.settings import (
    BridgeSettings,
    MapSettings,
    SegmentSettings,
    SplunkSettings,
)
from headrace_services.segment_bridge.splunk import Outcome, Splunk, pieces
from headrace_services.segment_bridge.store import DeadLetterTable, Runs


async def start(context: Context) -> None:
    """Run periodically."""
    segment, splunk = context.settings(SegmentSettings), context.settings(SplunkSettings)
    maps = context.settings(MapSettings)
    check(segment, splunk)
    database = await context.database()
    schedule = Schedule(
        settings=context.settings(BridgeSettings),
        segment=segment,
        runs=Runs(database),
        ledger=PostgresLedger(database),
        letters=partial(DeadLetterTable, database),
        read_maps=partial(read_maps, segment, maps),
        fetch=partial(fetch, splunk),
    )
    context.health.add("run", lambda: schedule.problem)
    context.health.tell("run", lambda: schedule.last)
    context.spawn("runs", schedule.run_for_ever)


def check(segment: SegmentSettings, splunk: SplunkSettings) -> None:
    """Raise `ConfigurationError` that names every missing variable without which no run could succeed."""
    missing = [] if is_set("SPLUNK_API_URL") else ["SPLUNK_API_URL"]
    if not is_set("CURL_NETRC") and not Path(segment.netrc).expanduser().exists():
        missing.append("CURL_NETRC")
    if missing:
        raise ConfigurationError(
            f"segment_bridge: {' and '.join(missing)} not set; expected Splunk's URL, and a netrc file "
            "with the logins for the hosts of Splunk and Segment"
        )
    for url in (splunk.url, segment.url):
        login_for(url, segment.netrc)


async def fetch(
    settings: SplunkSettings, earliest: datetime, problems: list[str]
) -> AsyncGenerator[list[bytes], None]:
    """Yield the rows of the window, unless ``QUERY_EARLIEST_TIME`` sets another one."""
    if not is_set("QUERY_EARLIEST_TIME"):
        settings = settings.model_copy(update={"earliest": earliest.isoformat(timespec="milliseconds")})
    outcome = Outcome()
    async with Splunk(settings) as splunk, aclosing(pieces(splunk, outcome)) as found:
        async for rows in found:
            yield rows
    problems += [f"query {title}: {reason}" for title, reason in outcome.failures.items()]
