"""A worker process: evaluates one archive after the other until its connection closes.

It is forked with the rules loaded. The kernel limits its memory (RLIMIT_AS): an allocation beyond the limit raises
MemoryError before the memory is taken.
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

# The pool sends it before it kills a worker, which then writes its stack to the trace.
TRACE_SIGNAL: Final = signal.SIGUSR1

_PAGE_BYTES: Final = resource.getpagesize()
# A worker that keeps a larger share of its memory after an archive is replaced.
_KEPT_SHARE: Final = 0.5


@dataclass(frozen=True)
class Memory:
    """The memory of a process: its address space, and the resident part."""

    mapped_bytes: int
    resident_bytes: int

    @classmethod
    def now(cls) -> "Memory":
        """Return the memory of this process; zeros without /proc."""
        try:
            mapped, resident, *_ = Path("/proc/self/statm").read_text(encoding="ascii").split()
        except OSError:
            return cls(0, 0)
        return cls(int(mapped) * _PAGE_BYTES, int(resident) * _PAGE_BYTES)


@dataclass(frozen=True)
class Terms:
    """The limits of evaluations."""

    limits: ArchiveLimits
    room_bytes: int
    """The memory that a worker may use in addition to the loaded rules."""


def run_worker(connection: socket.socket, traces: int, rules: Rules, terms: Terms, parent: int) -> None:
    """Evaluate archives until the other end of the connection closes.

    Args:
        connection: the socket from which archives come.
        traces: the file descriptor for the stacks of a crash or of the pool's signal.
        rules: loaded before the fork.
        terms: the limits of evaluations.
        parent: the process that forked this one, which ends with it; it may have ended already.
    """
    # The worker's process group includes any processes that rules start, and is killed as a whole.
    os.setpgid(0, 0)
    die_with(parent)
    faulthandler.enable(traces, all_threads=False)
    faulthandler.register(TRACE_SIGNAL, traces, all_threads=False)
    # A core dump of a large process would delay its end for seconds.
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
        # orjson refuses integers beyond 64 bits, and lone surrogates, which come from text in an archive that is not
        # UTF-8.
        return json.dumps(reply, ensure_ascii=False).encode(errors="replace")


def _handle(connection: socket.socket, rules: Rules, terms: Terms) -> tuple[dict[str, Any], bytes, bool]:
    """Evaluate one archive; return the reply, the workload info, and whether this process should end."""

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
