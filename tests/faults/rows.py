"""The fault matrix: what each row asks, and how long it lasts in each of the two tiers.

`make test` runs the short lengths, `make test-faults` the full ones. A test that has a row's marker
(`@pytest.mark.row(20)`) is one of its proofs, and reads its lengths from the `row` fixture. One that proves nothing in
a short time is marked `full` as well: `make test` leaves it out, and its short lengths are zero. docs/faults.md is made
from this table and from the figures that a full run writes down.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

Lengths = Mapping[str, float]


@dataclass(frozen=True)
class Row:
    """One fault. ``short`` and ``full`` have the same names: counts, seconds, shares."""

    number: int
    title: str
    asks: str
    short: Lengths = field(default_factory=dict)
    full: Lengths = field(default_factory=dict)
    # Why the proof is weaker than what the row asks; empty when it is not.
    weaker: str = ""

    def __post_init__(self) -> None:
        if self.short.keys() != self.full.keys():
            raise ValueError(f"row {self.number}: its tiers have different lengths")


ROWS: Final = (
    Row(
        1,
        "ingress is killed",
        "`kill -9` at 20 random points of 200 uploads: every accepted id ends, orphaned objects are no more than the"
        " uploads in flight, unfinished multipart uploads are swept",
        short={"uploads": 40, "kills": 3},
        full={"uploads": 200, "kills": 20},
        weaker="an object that was stored whole and never announced is kept: its sender may try again under its id",
    ),
    Row(
        2,
        "Kafka is away during uploads",
        "60 s: no 202 without an acknowledgement, 503 with `Retry-After` within 10 s, accepted again within 5 s of its"
        " return",
        short={"outage_seconds": 0, "recovery_seconds": 0},
        full={"outage_seconds": 60, "recovery_seconds": 5},
    ),
    Row(3, "an acknowledgement is lost", "at most a duplicate announcement, one effect"),
    Row(
        4,
        "S3 throttles",
        "503 SlowDown for 30 % of the PUTs during 2 min: 99.9 % succeed within the request's budget, at most 1.5 PUTs"
        " an upload",
        short={"seconds": 8},
        full={"seconds": 120},
    ),
    Row(5, "S3 hangs, resets, lies", "5xx for the sender, no announcement"),
    Row(
        6,
        "slow senders",
        "500 connections, a byte a second: honest p99 less than twice as long, all dropped by their deadline,"
        " RSS grows less than 50 MiB",
        short={"connections": 300, "honest_uploads": 60, "percentile": 90},
        full={"connections": 500, "honest_uploads": 300, "percentile": 99},
    ),
    Row(7, "senders go away", "nothing is announced before the body is whole, no multipart upload is left"),
    Row(8, "bodies and heads that lie", "refused at their bound, nothing announced"),
    Row(9, "identities that lie", "missing, not base64, huge, wrong type, mismatched, doubled: refused"),
    Row(
        10,
        "100 x 100 MiB at once",
        "429 for who finds no room, 1 GiB of memory is not exceeded",
        short={"uploads": 30, "mib": 20, "places": 8},
        full={"uploads": 100, "mib": 99, "places": 64},
    ),
    Row(11, "hostile archives", "rejected within 2 s of CPU and 64 MiB, nothing is written outside"),
    Row(12, "a rule hangs, raises, bloats", "its worker is killed at its deadline, its neighbours go on"),
    Row(13, "hostile CSV", "each is refused with its reason or read rightly, its neighbours go on"),
    Row(
        14,
        "duplicates and replay",
        "every message again 1 to 5 times, and the whole topic replayed: the state is that of a single run",
        short={"replays": 1, "copies": 2},
        full={"replays": 3, "copies": 5},
    ),
    Row(
        15,
        "poison at the head of a partition",
        "siblings go on; the dead letter says all; put back exactly once",
    ),
    Row(16, "the dead-letter topic is missing", "the consumer holds, the offset stays, it resumes by itself"),
    Row(
        17,
        "a storm of rebalances",
        "a consumer joins and leaves every 5 s for 5 min under load: nothing lost, duplicates at most what was in"
        " flight, the lag drains within twice its steady time",
        short={"seconds": 8, "every_seconds": 4},
        full={"seconds": 300, "every_seconds": 5},
    ),
    Row(18, "a message outlasts the poll interval", "no loop of evictions"),
    Row(
        19,
        "commits fail after effects",
        "refused with 25, 22, 27: effects repeat harmlessly",
        short={"refusals": 1},
        full={"refusals": 20},
    ),
    Row(
        20,
        "consumers are killed between effect and commit",
        "`kill -9` at 100 random points of every consumer: the state is that of a single run",
        short={"kills": 0},
        full={"kills": 100},
    ),
    Row(
        21,
        "the broker restarts, moves, throttles, hangs",
        "errors 6 and 14 to 16, 200 ms of round trip, two session timeouts of silence, SIGSTOP of each engine for 40 s:"
        " nothing lost",
        short={"stopped_seconds": 6, "answers": 2},
        full={"stopped_seconds": 40, "answers": 60},
    ),
    Row(
        22,
        "an hour's backlog at ten times the rate",
        "drained at twice the rate of arrival or more, memory flat, order kept, nothing dropped for its age",
        short={"messages": 3_000},
        full={"messages": 120_000},
    ),
    Row(23, "older, newer and odd messages", "unknown and missing fields, 1 MiB, empty: each ends"),
    Row(
        24,
        "PostgreSQL is killed, read-only, full, locked",
        "`kill -9` every 20 s for 3 min, backends terminated, read-only, full, locked 30 s, deadlocked: nothing lost,"
        " p99 recovery at most 10 s",
        short={"seconds": 8, "every_seconds": 8, "held_seconds": 3},
        full={"seconds": 180, "every_seconds": 20, "held_seconds": 30},
    ),
    Row(25, "the pool is exhausted", "a bounded wait, 503 of APIs, consumers pause and fail no message"),
    Row(26, "migrations", "beside the older code; two replicas at once"),
    Row(
        27,
        "signals and crash loops",
        "SIGTERM under load, a second one, SIGINT; a restart budget, then visible",
    ),
    Row(28, "a blocked event loop", "liveness fails, every stack is printed; blockbuster in the tests"),
    Row(
        29,
        "a full disk, a cut segment",
        "507 or 503, nothing corrupted; the last segment cut at every byte of its last record is recovered",
        short={"full_seconds": 15},
        full={"full_seconds": 70},
    ),
    Row(
        30,
        "clocks jump",
        "an hour forward and back: timeouts are monotonic, presigned URLs issued anew",
        short={"uploads": 0},
        full={"uploads": 60},
    ),
    Row(
        31,
        "kruize is away, slow, or knows it already",
        "10 min: ros_poller backs off, no recommendation is doubled",
        short={"outage_seconds": 5},
        full={"outage_seconds": 600},
    ),
    Row(
        32,
        "the whole local stack is killed",
        "`kill -9` 50 times at random times: restarts clean within 3 s, every accepted id ends",
        short={"kills": 0, "restart_seconds": 0},
        full={"kills": 50, "restart_seconds": 3},
        weaker="3 s beside the slowest engine: Kafka alone recovers its log in 3 to 5 s after a kill",
    ),
    Row(
        33,
        "a rolling upgrade",
        "from the release before, with a continuous sender: nothing fails after retry, nothing is lost",
    ),
    Row(
        34,
        "a soak",
        "8 h at 70 % of capacity: RSS slope below 1 % an hour, file descriptors and tasks flat",
        short={"seconds": 0, "rounds": 0},
        full={"seconds": 3600, "rounds": 20},
        weaker="an hour, its slope extrapolated",
    ),
)

BY_NUMBER: Final = {row.number: row for row in ROWS}
