"""A worker process: evaluates one archive after the other until nobody sends any more.

It is forked with the rules loaded. Its memory is bounded by the kernel (RLIMIT_AS): whatever would exceed the bound
fails with MemoryError at the very allocation, before the memory is there.
"""

import faulthandler
import json
import os
import resource
import signal
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from headrace.archives import ArchiveLimits, ArchiveRejected
from headrace.rules.evaluation import Evaluation, Rules
from headrace.rules.workers.frames import frame, receive_piece
from headrace.runtime.children import die_with
from headrace.runtime.errors import Retryable

# Sent by the pool before it kills: the worker writes down where it is, whatever it is doing.
TRACE_SIGNAL: Final = signal.SIGUSR1

_PAGE_BYTES: Final = resource.getpagesize()
# A worker that keeps more than this share of what it may take makes room for a new one.
_KEPT_SHARE: Final = 0.5


@dataclass(frozen=True)
class Memory:
    """Of a process that has the rules loaded and done nothing: its address space, and what of it is in memory."""

    mapped_bytes: int
    resident_bytes: int

    @classmethod
    def now(cls) -> "Memory":
        """Of this process; zeros where there is no /proc."""
        try:
            mapped, resident, *_ = Path("/proc/self/statm").read_text(encoding="ascii").split()
        except OSError:
            return cls(0, 0)
        return cls(int(mapped) * _PAGE_BYTES, int(resident) * _PAGE_BYTES)


@dataclass(frozen=True)
class Terms:
    """What evaluations may cost."""

    limits: ArchiveLimits
    room_bytes: int
    """More than the loaded rules take."""


def run_worker(connection: socket.socket, traces: int, rules: Rules, terms: Terms, parent: int) -> None:
    """Serve until the other end of the connection closes.

    Args:
        connection: where archives come from.
        traces: file descriptor for what a crash or the pool's signal finds the process doing.
        rules: loaded before the fork.
        terms: what evaluations may cost.
        parent: the process that forked it, and whose end is its own; it may have ended already.

    """
    # A group of its own, so that what rules may have started ends with it.
    os.setpgid(0, 0)
    die_with(parent)
    faulthandler.enable(traces, all_threads=False)
    faulthandler.register(TRACE_SIGNAL, traces, all_threads=False)
    # A core dump of a bloated process would delay its end for seconds.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    begun = Memory.now()
    if sys.platform.startswith("linux"):
        most = begun.mapped_bytes + terms.room_bytes
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
    kept_bytes = begun.mapped_bytes + int(terms.room_bytes * _KEPT_SHARE)
    retiring = False
    while not retiring:
        try:
            reply, workload_info, retiring = _handle(connection, rules, terms)
        except EOFError:
            return
        retiring = retiring or Memory.now().mapped_bytes > kept_bytes
        connection.sendall(frame(_encoded({**reply, "retiring": retiring}), workload_info))


def _encoded(reply: dict[str, Any]) -> bytes:
    try:
        return orjson.dumps(reply)
    except TypeError:
        # An integer beyond 64 bits; or text of an archive that holds bytes that are no UTF-8, as lone surrogates, which
        # JSON's readers refuse.
        return json.dumps(reply, ensure_ascii=False).encode(errors="replace")


def _handle(connection: socket.socket, rules: Rules, terms: Terms) -> tuple[dict[str, Any], bytes, bool]:
    """One archive: the reply, the workload info, and whether this process had better end now."""

    def evaluate() -> Evaluation:
        seeds = json.loads(receive_piece(connection))
        return rules.evaluate(receive_piece(connection), limits=terms.limits, seeds=seeds)

    reply, evaluation = _judged(evaluate)
    if evaluation is None:
        return reply, b"", not reply.keys() & {"rejected", "unavailable"}
    failed = next((name for name, why in evaluation.exceptions if why.startswith("MemoryError")), None)
    if failed is not None:
        return {"bloated": f"in {failed}"}, b"", True
    facts = dict(vars(evaluation))
    workload_info = facts.pop("workload_info")
    facts["has_workload_info"] = workload_info is not None
    return {"evaluation": facts}, workload_info or b"", False


def _judged(evaluate: Callable[[], Evaluation]) -> tuple[dict[str, Any], Evaluation | None]:
    try:
        return {}, evaluate()
    except EOFError:
        raise
    except ArchiveRejected as error:
        return {"rejected": str(error)}, None
    except Retryable as error:
        return {"unavailable": str(error)}, None
    except MemoryError:
        return {"bloated": ""}, None
    except BaseException as error:  # noqa: BLE001  # a rule may call sys.exit; the pool says what became of it
        return {"failed": f"{type(error).__name__}: {error}"}, None
