"""Whose last word a followed upload waits for."""

from datetime import UTC, datetime, timedelta

from headrace.bus.consumption import Consumption
from headrace.contracts.topics import ARCHIVE_SYNCED, PAYLOAD_STATUS, UPLOAD_ANNOUNCE
from headrace.laptop.following import Hop, Trail
from headrace.service.flow import consumers_of
from headrace.service.row import Service

ROWS = (
    Service("ingress", "takes"),
    Service("payload_tracker", "keeps", consumes=(Consumption(PAYLOAD_STATUS, group="t"),)),
    Service("takes_all", "all", consumes=(Consumption(UPLOAD_ANNOUNCE, group="a"),)),
    Service(
        "takes_ols",
        "some",
        consumes=(Consumption(UPLOAD_ANNOUNCE, group="o", header="service", values=frozenset({"ols"})),),
        produces=(ARCHIVE_SYNCED, PAYLOAD_STATUS),
    ),
    Service("takes_from_ols", "more", consumes=(Consumption(ARCHIVE_SYNCED, group="f"),)),
)
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def hop(service, status, message=""):
    return Hop(1, service, status, message, NOW)


def test_consumers_are_those_whose_filter_lets_the_service_through():
    assert set(consumers_of(ROWS, "ols")) == {"ingress", "takes-all", "takes-ols", "takes-from-ols"}
    assert set(consumers_of(ROWS, "hccm")) == {"ingress", "takes-all"}


def test_consumers_further_on_name_those_they_get_nothing_without():
    assert consumers_of(ROWS, "ols")["takes-from-ols"] == {"ingress", "takes-ols"}


def test_trail_without_errors_and_with_every_last_word_has_no_problems():
    trail = Trail("r1", hops=[hop("ingress", "received"), hop("ingress", "success")])
    assert trail.problems == []


def test_trail_tells_errors_and_who_is_silent():
    trail = Trail("r1", hops=[hop("archiver", "error", "no cluster id")], missing=frozenset({"b", "a"}))
    assert trail.problems == ["archiver reports: no cluster id", "no final status from a, b"]


def test_time_of_a_hop_counts_from_sending():
    assert hop("ingress", "received").milliseconds_after(NOW - timedelta(seconds=1.5)) == 1500
