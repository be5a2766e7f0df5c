"""The stages of the command line. Each reads and writes bytes, reports its counts on stderr, and fails with 1.

A stage fails if a record is neither passed on nor kept; a record in a dead-letter file is kept.
"""

import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass
from pathlib import Path

import orjson

from headrace.runtime.errors import ConfigurationError
from headrace.runtime.settings import load
from headrace_services.segment_bridge import streams
from headrace_services.segment_bridge.audit import audit
from headrace_services.segment_bridge.batches import TOO_LARGE, Batcher
from headrace_services.segment_bridge.client import Segment
from headrace_services.segment_bridge.dead_letters import DeadLetterFile, Graveyard, contents_of
from headrace_services.segment_bridge.ledger import SqliteLedger
from headrace_services.segment_bridge.map_files import read_maps as read_map_files
from headrace_services.segment_bridge.map_sources import read_maps
from headrace_services.segment_bridge.maps import uid_map, workspace_map
from headrace_services.segment_bridge.run import RunOutcome, carry, transform_of
from headrace_services.segment_bridge.run import blocks as row_blocks
from headrace_services.segment_bridge.settings import MapSettings, SegmentSettings, SplunkSettings
from headrace_services.segment_bridge.splunk import Outcome, Splunk, pieces
from headrace_services.segment_bridge.texts import is_json, several
from headrace_services.segment_bridge.transform import MALFORMED, PULL_REQUEST, Event, Transform
from headrace_services.segment_bridge.upload import REFUSED, Uploaded, Uploader


def say(text: str) -> None:
    """Print one line on stderr."""
    print(f"headrace: {text}", file=sys.stderr, flush=True)  # noqa: T201


@dataclass(frozen=True)
class UploadOptions:
    """The options of the command line beside the settings."""

    dead_letters: Path | None = None
    ledger: Path | None = None
    dry_run: bool = False


async def fetch() -> int:
    """Write Splunk's rows to stdout."""
    outcome = Outcome()
    async with Splunk(load(SplunkSettings)) as splunk, aclosing(pieces(splunk, outcome)) as found:
        async for rows in found:
            streams.write_lines(rows)
    streams.flush()
    for title, reason in outcome.failures.items():
        say(f"query {title}: {reason}")
    say(f"{outcome.rows} rows of {len(outcome.queries)} queries")
    return 0 if outcome.complete else 1


def transform(dead_letters: Path | None) -> int:
    """Write the events of the rows on stdin to stdout."""
    settings = load(SegmentSettings)
    maps = read_map_files(settings.uid_map_file, settings.ws_map_file, numeric=load(MapSettings).numeric_ids)
    with DeadLetterFile(dead_letters) as graveyard:
        work = transform_of(maps, graveyard)
        for block in streams.line_blocks(sys.stdin.buffer):
            streams.write_lines([body for _, _, body in work.events(block)])
        streams.flush()
    say(f"{work.rows} rows: {work.made} events{_shown(work.dropped)}")
    return _fate(graveyard, work.losses(settings.lost_share))


async def upload(options: UploadOptions) -> int:
    """Send the events on stdin to Segment."""
    settings = load(SegmentSettings)
    with DeadLetterFile(options.dead_letters) as graveyard:
        blocks = _parsed(streams.line_blocks_async(sys.stdin.buffer), graveyard)
        if options.dry_run:
            await _pretend(blocks, settings, graveyard)
            return _fate(graveyard)
        async with AsyncExitStack() as stack:
            uploader = await _uploader(stack, settings, graveyard, options)
            try:
                async for events in blocks:
                    await uploader.add(events)
                uploaded = await uploader.finish()
            except BaseException:
                await uploader.cancel()
                raise
    _tell(uploaded, graveyard)
    return 1 if uploaded.unsent or graveyard.counts[REFUSED] else _fate(graveyard)


def payload() -> int:
    """Write the events on stdin as one batch to stdout, of any size; nothing if one of them is not JSON."""
    events: list[bytes] = []
    for block in streams.line_blocks(sys.stdin.buffer):
        for line in block:
            parts = [line] if is_json(line) else several(line)
            if not parts and line.strip():
                say(f"the line after {len(events)} events is not JSON")
                return 1
            events += parts
    streams.write_lines([orjson.dumps({"batch": [orjson.loads(event) for event in events]})])
    streams.flush()
    return 0


async def run(options: UploadOptions) -> int:
    """Run all stages once: rows from Splunk, maps from files or Kubernetes, events to Segment."""
    outcome = RunOutcome()
    settings, splunk_settings = load(SegmentSettings), load(SplunkSettings)
    maps = await read_maps(settings, load(MapSettings))
    fetched = Outcome()
    with DeadLetterFile(options.dead_letters) as graveyard:
        async with AsyncExitStack() as stack:
            splunk = await stack.enter_async_context(Splunk(splunk_settings))
            rows = await stack.enter_async_context(aclosing(pieces(splunk, fetched)))
            work = transform_of(maps, graveyard)
            if options.dry_run:
                events = _transformed(rows, work)
                await _pretend(events, settings, graveyard)
                failed = False
            else:
                uploader = await _uploader(stack, settings, graveyard, options)
                await carry(rows, work, uploader, graveyard, outcome)
                _tell(uploader.uploaded, graveyard)
                failed = bool(outcome.unsent or graveyard.counts[REFUSED])
    say(f"{work.rows} rows: {work.made} events{_shown(work.dropped)}")
    fate = _fate(graveyard, work.losses(settings.lost_share)) or int(failed)
    for title, reason in fetched.failures.items():
        say(f"query {title}: {reason}")
    return fate if fetched.complete else 1


async def write_map(*, workspaces: bool, upload: bool) -> int:
    """Write a map as one JSON object to stdout."""
    read = workspace_map if workspaces else uid_map
    found = await read(upload_to_splunk=upload)
    streams.write_lines([found.json().rstrip(b"\n")])
    streams.flush()
    replaced = f", {found.replaced} replaced by a later one" if found.replaced else ""
    say(f"{len(found.entries)} entries{_shown(found.skipped)}{replaced}")
    if not found.entries:
        say("the map is empty: every row would be dropped")
        return 1
    return 0


async def read_audit_logs(files: Sequence[Path]) -> int:
    """Write the rows that the queries find in files to stdout."""
    outcome = await audit(files, sys.stdout.buffer)
    streams.flush()
    for file, reason in outcome.failures.items():
        say(f"{file}: {reason}")
    for place in outcome.unreadable_places:
        say(f"{place}: the line is not a JSON object")
    say(
        f"{outcome.lines} lines, {outcome.audit_records} audit records examined: "
        f"{sum(outcome.rows.values())} rows{_shown({'unreadable': outcome.unreadable})}"
    )
    return 0 if outcome.complete else 1


def letters(file: Path, *, rows: bool) -> int:
    """Write the events (or the rows) of a dead-letter file to stdout, to be sent again."""
    damaged: list[bytes] = []
    try:
        with file.open("rb") as opened:
            for block in streams.line_blocks(opened):
                streams.write_lines(contents_of(block, rows=rows, neither=damaged.append))
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be read: {error.strerror}") from None
    streams.flush()
    if damaged:
        say(f"{file}: {len(damaged)} lines are not dead letters")
    return 1 if damaged else 0


def event_of(line: bytes) -> Event | str:
    """Return the event on a line, or the reason why there is none."""
    try:
        event = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        return f"the line is not JSON: {error.msg} at character {error.pos}"
    if not isinstance(event, dict):
        return "the line is not an object"
    message_id, once = event.get("messageId"), ""
    if event.get("event") == PULL_REQUEST and isinstance(event.get("properties"), dict):
        once = event["properties"].get("merge_url")
    return (
        message_id if isinstance(message_id, str) else "",
        once if isinstance(once, str) else "",
        line.strip(),
    )


async def _parsed(blocks: AsyncIterator[list[bytes]], graveyard: Graveyard) -> AsyncIterator[list[Event]]:
    async for block in blocks:
        events: list[Event] = []
        for line in block:
            if not line or line.isspace():
                continue
            made = event_of(line)
            # Most lines are one event; a line may also contain several objects.
            parts = several(line) if isinstance(made, str) else []
            for part, found in [(part, event_of(part)) for part in parts] or [(line, made)]:
                if isinstance(found, str):
                    graveyard.bury(part, found, MALFORMED)
                else:
                    events.append(found)
        yield events


async def _transformed(rows: AsyncIterator[list[bytes]], work: Transform) -> AsyncIterator[list[Event]]:
    async for block in row_blocks(rows):
        yield work.events(block)


async def _uploader(
    stack: AsyncExitStack, settings: SegmentSettings, graveyard: Graveyard, options: UploadOptions
) -> Uploader:
    ledger = None
    if options.ledger is not None:
        ledger = await stack.enter_async_context(SqliteLedger(options.ledger))
    return Uploader(
        await stack.enter_async_context(Segment(settings)),
        graveyard,
        max_batch_bytes=settings.batch_bytes,
        concurrency=settings.concurrency,
        ledger=ledger,
        resend=settings.resend,
        bury_unsent=graveyard.kept,
    )


async def _pretend(
    blocks: AsyncIterator[list[Event]], settings: SegmentSettings, graveyard: DeadLetterFile
) -> None:
    """Do everything except the requests."""
    batcher = Batcher(graveyard.bury, max_bytes=settings.batch_bytes)
    events, batches = 0, 0
    async for given in blocks:
        for batch in batcher.add(given):
            events, batches = events + len(batch), batches + 1
    if last := batcher.rest():
        events, batches = events + len(last), batches + 1
    say(f"dry run: {events} events in {batches} batches would be sent{_shown(graveyard.counts)}")


def _tell(uploaded: Uploaded, graveyard: Graveyard) -> None:
    for reason, count in uploaded.reasons.items():
        say(f"{count} batches not sent: {reason}")
    rest = uploaded.skipped + graveyard.counts
    if uploaded.unsent:
        rest["not sent"] = uploaded.unsent
    say(f"{uploaded.given} events: {uploaded.sent} sent in {uploaded.batches} batches{_shown(rest)}")


def _shown(counts: Mapping[str, int]) -> str:
    return "".join(f", {count} {reason}" for reason, count in counts.items() if count)


def _fate(graveyard: DeadLetterFile, losses: Sequence[str] = ()) -> int:
    """Return the exit code: 1 if a record is neither passed on nor kept."""
    for reason in losses:
        say(reason)
    lost = sum(graveyard.counts[name] for name in (MALFORMED, TOO_LARGE))
    if lost and not graveyard.kept:
        say(f"{lost} records are lost: use --dead-letters FILE to keep them")
        return 1
    return 1 if losses else 0
