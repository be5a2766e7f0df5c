"""The same queries without Splunk, on audit logs in files: one record a line, plain or gzip, of any size.

Rows have Splunk's form. Files are read once for all queries, so the rows of all queries come in the order of their
records; the rows of a query that keeps the earliest of several records come at the end.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Final

import orjson
from isal import isal_zlib

from headrace.archives.files import open_inflated
from headrace.runtime.errors import ConfigurationError, Permanent
from headrace_services.segment_bridge.expressions import Evaluate, Record, Test
from headrace_services.segment_bridge.queries import AUDIT_LOG_TYPE, QUERIES, RECEIVED, Query

_BLOCK_BYTES: Final = 1 << 20
_MAX_LINE_BYTES: Final = 64 << 20
_KEPT_PLACES: Final = 20
# These two terms of a query decide whether it is evaluated on a record.
_CHOOSING_TERMS: Final = 2


@dataclass
class AuditOutcome:
    """The counts; ``failures`` names files that were not read to their end, with the reason."""

    lines: int = 0
    audit_records: int = 0
    unreadable: int = 0
    unreadable_places: list[str] = field(default_factory=list)
    rows: dict[str, int] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Whether every line of every file was parsed."""
        return not self.failures and not self.unreadable


class Evaluator:
    """Evaluates every query on one record after another; ``finish`` returns the rows that need all records."""

    def __init__(self, outcome: AuditOutcome, queries: Sequence[Query] = QUERIES) -> None:
        self._outcome = outcome
        self._by_kind: dict[tuple[str, str], list[_Compiled]] = {}
        for query in queries:
            outcome.rows.setdefault(query.title, 0)
            self._by_kind.setdefault((query.group, query.resource), []).append(_Compiled(query))
        # Whether the file is known to be an audit log; until then every record is decoded.
        self.found_any = False
        self._groups = tuple({query.group.encode() for query in queries})

    def rows(self, line: bytes, place: str) -> Iterator[bytes]:
        """Yield the rows of the record on a line; ``place`` identifies a malformed line."""
        self._outcome.lines += 1
        # Most records match no query; a search in the bytes avoids decoding them.
        meant = any(group in line for group in self._groups)
        if self.found_any and not meant and line.startswith(b"{") and line.endswith(b"}"):
            return
        try:
            record = orjson.loads(line)
        except ValueError:
            record = None
        if not isinstance(record, dict):
            self._unreadable(place)
            return
        if not _is_audit(record):
            return
        self.found_any = True
        if not meant:
            return
        self._outcome.audit_records += 1
        subject = record.get("objectRef")
        if not isinstance(subject, dict):
            return
        kind = str(subject.get("apiGroup")).lower(), str(subject.get("resource")).lower()
        for compiled in self._by_kind.get(kind, ()):
            result = compiled.result(record)
            if result is not None:
                yield self._row(compiled.query, result)

    def finish(self) -> Iterator[bytes]:
        """Yield the rows of the queries that keep the earliest of several records."""
        for compiled in (item for found in self._by_kind.values() for item in found):
            for result in compiled.kept():
                yield self._row(compiled.query, result)

    def _row(self, query: Query, result: Mapping[str, Any]) -> bytes:
        offset = self._outcome.rows[query.title]
        self._outcome.rows[query.title] += 1
        return orjson.dumps({"preview": False, "offset": offset, "result": result})

    def _unreadable(self, place: str) -> None:
        self._outcome.unreadable += 1
        if len(self._outcome.unreadable_places) < _KEPT_PLACES:
            self._outcome.unreadable_places.append(place)


class _Compiled:
    """A query compiled to functions."""

    def __init__(self, query: Query) -> None:
        self.query = query
        self._tests: list[Test] = [
            condition.compile() for condition in (*query.terms()[_CHOOSING_TERMS:], *query.where)
        ]
        self._outputs: list[tuple[str, Evaluate]] = [
            *((name, _text(value.compile())) for name, value in query.outputs().items()),
            *((name, _constant(text)) for name, text in query.literals().items()),
            *(
                (name, _json({key: value.compile() for key, value in members.items()}))
                for name, members in query.objects().items()
            ),
        ]
        self._outputs.sort(key=lambda output: output[0])
        self._per = query.earliest_per.compile() if query.earliest_per else None
        self._received = RECEIVED.compile()
        self._kept: dict[str, tuple[str, dict[str, Any]]] = {}

    def result(self, record: Record) -> dict[str, Any] | None:
        """Return the output fields; None if the record does not match or has to wait for others."""
        if not all(test(record) for test in self._tests):
            return None
        found = {name: value for name, evaluate in self._outputs if (value := evaluate(record)) is not None}
        if self._per is None:
            return found
        per, received = self._per(record), str(self._received(record))
        if isinstance(per, str) and (per not in self._kept or received < self._kept[per][0]):
            self._kept[per] = received, found
        return None

    def kept(self) -> Iterator[dict[str, Any]]:
        """Yield the kept rows, the earliest first."""
        found = sorted(self._kept.values(), key=lambda kept: kept[0])
        self._kept = {}
        return (result for _, result in found)


def _is_audit(record: Record) -> bool:
    log_type = record.get("log_type")
    if log_type is None:
        # The API server itself writes such files, without a collector's marks.
        return str(record.get("apiVersion")).startswith("audit.k8s.io/")
    return str(log_type).lower() == AUDIT_LOG_TYPE


def _text(evaluate: Evaluate) -> Evaluate:
    return lambda record: None if (found := evaluate(record)) is None else str(found)


def _constant(text: str) -> Evaluate:
    return lambda _record: text


def _json(members: Mapping[str, Evaluate]) -> Evaluate:
    return lambda record: orjson.dumps({key: value(record) for key, value in members.items()}).decode()


async def rows(
    files: Iterable[Path], outcome: AuditOutcome, queries: Sequence[Query] = QUERIES
) -> AsyncIterator[bytes]:
    """Yield the rows of every file, as lines without newlines. Files that cannot be read are in the outcome."""
    evaluator = Evaluator(outcome, queries)
    for path in files:
        number, before = 0, outcome.lines
        evaluator.found_any = False
        try:
            async for block in _blocks(path):
                for line in block:
                    number += 1
                    if line:
                        for row in evaluator.rows(line, f"{path}:{number}"):
                            yield row
            if outcome.lines > before and not evaluator.found_any:
                raise Permanent("it contains no audit record")
        except Permanent as error:
            outcome.failures[str(path)] = str(error)
    for row in evaluator.finish():
        yield row


async def audit(files: Sequence[Path], output: BinaryIO) -> AuditOutcome:
    """Write the rows of files to ``output``, one per line: ``headrace segment audit``."""
    for path in files:
        if not path.is_file():
            raise ConfigurationError(f"{path} is not a file")
    outcome = AuditOutcome()
    async for row in rows(files, outcome):
        output.write(row + b"\n")
    return outcome


async def _blocks(path: Path) -> AsyncIterator[list[bytes]]:
    """Yield the lines of a file, about a megabyte at a time."""
    try:
        with open_inflated(path) as opened:
            rest = b""
            while block := await asyncio.to_thread(opened.read, _BLOCK_BYTES):
                *lines, rest = (rest + block).split(b"\n")
                yield lines
                if len(rest) > _MAX_LINE_BYTES:
                    raise Permanent(f"it has a line of more than {_MAX_LINE_BYTES} bytes")
            yield [rest]
    except (EOFError, isal_zlib.error) as error:  # type: ignore[misc]  # its stub makes an instance of the class
        raise Permanent(f"it is damaged gzip: {error}") from None
    except OSError as error:
        raise Permanent(f"it cannot be read: {error.strerror or error}") from None
