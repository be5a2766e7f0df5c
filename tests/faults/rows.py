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
        "`kill -9` at 20 random points of 200 uploads: every accepted payload ends; there are no more"
        " orphaned objects than uploads in flight; unfinished multipart uploads are deleted",
        short={"uploads": 40, "kills": 3},
        full={"uploads": 200, "kills": 20},
        weaker=(
            "an object that was stored completely and never announced is kept, because its sender may"
            " repeat the upload with its id"
        ),
    ),
    Row(
        2,
        "Kafka is away during uploads",
        "for 60 s: no 202 without an acknowledgement, 503 with `Retry-After` within 10 s, and uploads are"
        " accepted again within 5 s of Kafka's return",
        short={"outage_seconds": 0, "recovery_seconds": 0},
        full={"outage_seconds": 60, "recovery_seconds": 5},
    ),
    Row(3, "an acknowledgement is lost", "at most one duplicate announcement, and one effect"),
    Row(
        4,
        "S3 throttles",
        "503 SlowDown for 30 % of the PUTs during 2 min: 99.9 % of uploads succeed within the request's"
        " budget, with at most 1.5 PUTs per upload",
        short={"seconds": 8},
        full={"seconds": 120},
    ),
    Row(
        5,
        "S3 hangs, resets connections, confirms wrong bytes",
        "the sender gets a 5xx, and nothing is announced",
    ),
    Row(
        6,
        "slow senders",
        "500 connections that send one byte per second: the p99 of normal uploads less than doubles, all"
        " slow connections are closed by their deadline, RSS grows by less than 50 MiB",
        short={"connections": 300, "honest_uploads": 60, "percentile": 90},
        full={"connections": 500, "honest_uploads": 300, "percentile": 99},
    ),
    Row(
        7,
        "senders disconnect",
        "nothing is announced before the body is complete, and no multipart upload remains",
    ),
    Row(8, "malformed and oversized bodies and headers", "refused at their limit, nothing is announced"),
    Row(
        9,
        "malformed identities",
        "missing, not base64, huge, of a wrong type, contradictory, repeated: refused",
    ),
    Row(
        10,
        "100 x 100 MiB at once",
        "uploads without a place get 429, memory stays below 1 GiB",
        short={"uploads": 30, "mib": 20, "places": 8},
        full={"uploads": 100, "mib": 99, "places": 64},
    ),
    Row(
        11,
        "hostile archives",
        "rejected within 2 s of CPU and 64 MiB of memory, nothing is written outside of their directory",
    ),
    Row(
        12,
        "a rule hangs, raises, takes too much memory",
        "its worker is killed at the deadline, other workers continue",
    ),
    Row(
        13,
        "hostile CSV files",
        "each file is refused with its reason or read correctly, other files continue",
    ),
    Row(
        14,
        "duplicates and replay",
        "every message is delivered again 1 to 5 times, and the whole topic is replayed: the state is that"
        " of a single run",
        short={"replays": 1, "copies": 2},
        full={"replays": 3, "copies": 5},
    ),
    Row(
        15,
        "a poison message at the head of a partition",
        "messages behind it continue, the dead letter is complete, a redrive puts it back exactly once",
    ),
    Row(
        16,
        "the dead-letter topic is missing",
        (
            "the consumer holds the message, the offset stays, the consumer continues by itself once the"
            " topic exists"
        ),
    ),
    Row(
        17,
        "a storm of rebalances",
        "a consumer joins and leaves every 5 s for 5 min under load: nothing is lost, there are at most as"
        " many duplicates as messages in flight, the lag drains within twice its usual time",
        short={"seconds": 8, "every_seconds": 4},
        full={"seconds": 300, "every_seconds": 5},
    ),
    Row(18, "a message outlasts the poll interval", "the consumer is not evicted repeatedly"),
    Row(
        19,
        "commits fail after effects",
        "refused with the errors 25, 22 and 27: repeated effects change nothing",
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
        "errors 6 and 14 to 16, a round trip of 200 ms, silence for two session time-outs, SIGSTOP of each"
        " engine for 40 s: nothing is lost",
        short={"stopped_seconds": 6, "answers": 2},
        full={"stopped_seconds": 40, "answers": 60},
    ),
    Row(
        22,
        "an hour's backlog at ten times the rate",
        "it is drained at twice the rate of arrival or more, memory stays flat, order is kept, no message"
        " is dropped for its age",
        short={"messages": 3_000},
        full={"messages": 120_000},
    ),
    Row(
        23, "older, newer and unusual messages", "unknown and missing fields, 1 MiB, empty: each message ends"
    ),
    Row(
        24,
        "PostgreSQL is killed, read-only, full, locked",
        "`kill -9` every 20 s for 3 min, terminated backends, read-only, full, locked for 30 s, deadlocked:"
        " nothing is lost, the p99 of recovery is at most 10 s",
        short={"seconds": 8, "every_seconds": 8, "held_seconds": 3},
        full={"seconds": 180, "every_seconds": 20, "held_seconds": 30},
    ),
    Row(
        25,
        "the connection pool is exhausted",
        "waits are bounded, APIs answer 503, consumers pause and fail no message",
    ),
    Row(26, "migrations", "they run while the older release serves, and concurrently in two replicas"),
    Row(
        27,
        "signals and crash loops",
        "SIGTERM under load, a second SIGTERM, SIGINT; after a budget of restarts the failure is reported",
    ),
    Row(
        28,
        "a blocked event loop",
        ("the liveness probe fails and every stack is logged; blockbuster finds blocking calls in the tests"),
    ),
    Row(
        29,
        "a full disk, a truncated segment",
        "507 or 503 and no corruption; the last segment is recovered from a truncation at every byte of its"
        " last record",
        short={"full_seconds": 15},
        full={"full_seconds": 70},
    ),
    Row(
        30,
        "clocks jump",
        "an hour forward and back: time-outs are monotonic, presigned URLs are issued again",
        short={"uploads": 0},
        full={"uploads": 60},
    ),
    Row(
        31,
        "kruize is away, slow, or already has the data",
        "for 10 min: ros_poller backs off, no recommendation is stored twice",
        short={"outage_seconds": 5},
        full={"outage_seconds": 600},
    ),
    Row(
        32,
        "the whole local stack is killed",
        "`kill -9` 50 times at random times: it restarts cleanly within 3 s, every accepted payload ends",
        short={"kills": 0, "restart_seconds": 0},
        full={"kills": 50, "restart_seconds": 3},
        weaker="3 s beyond the slowest engine, because Kafka alone recovers its log in 3 to 5 s after a kill",
    ),
    Row(
        33,
        "a rolling upgrade",
        "from the previous release, with a continuous sender: no upload fails after its retries, nothing is"
        " lost",
    ),
    Row(
        34,
        "a soak",
        "8 h at 70 % of capacity: the RSS slope is below 1 % an hour, file descriptors and tasks stay flat",
        short={"seconds": 0, "rounds": 0},
        full={"seconds": 3600, "rounds": 20},
        weaker="an hour, with its slope extrapolated",
    ),
)

BY_NUMBER: Final = {row.number: row for row in ROWS}
