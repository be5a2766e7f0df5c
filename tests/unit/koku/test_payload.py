from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

import pytest

from headrace.bus.delivery import Delivery
from headrace.contracts.announcement import Announcement
from headrace.contracts.clusters import local_cluster_id
from headrace_services.koku.payload import Payload, Report, Sender
from headrace_services.koku.settings import KokuSettings
from headrace_services.koku.sources import Source

CLUSTER = "11111111-2222-3333-4444-555555555555"
DELIVERY = Delivery("t", 0, 0, None, {}, datetime(2020, 2, 3, tzinfo=UTC), datetime.now(UTC))


def sender(**fields: Any) -> Sender:
    values = {"request_id": "r", "org_id": "1", "url": ""} | fields
    return Sender.of(Announcement.model_validate(values), DELIVERY)


def report(**fields: Any) -> Report:
    payload = Payload(sender(), CLUSTER, Source(id="7", uid="u", name="n"), "tag")
    return Report(payload, **({"ros_files": [], "cost_files": []} | fields))


@pytest.mark.parametrize(
    ("timestamp", "day"),
    [
        ("2026-08-01T23:59:59.999999999Z", date(2026, 8, 1)),
        ("2026-08-01T23:30:00-02:00", date(2026, 8, 2)),
        ("2026-08-01T23:30:00", date(2026, 8, 1)),
        ("", date(2020, 2, 3)),
        ("yesterday", date(2020, 2, 3)),
        ("0001-01-01T00:00:00+02:00", date(2020, 2, 3)),
    ],
)
def test_the_day_is_the_announcements_or_else_the_brokers(timestamp: str, day: date):
    assert sender(timestamp=timestamp).day == day


def test_a_local_cluster_is_a_stable_uuid_of_its_organisation():
    assert (
        local_cluster_id("1", of="bare-csv")
        == local_cluster_id("1", of="bare-csv")
        != local_cluster_id("2", of="bare-csv")
    )
    assert UUID(local_cluster_id("1", of="bare-csv")).version == 5


def test_the_text_says_what_happened_and_stays_short():
    full = report(ros_files=["a", *(f"lost-{n}" for n in range(9))], cost_files=["c", "d"])
    full.ros_keys["a"] = "key"
    full.found_cost |= {"c", "d"}
    assert full.text(silent=False, kept=True) == (
        f"1 ROS file of cluster {CLUSTER} (source 7) announced; 2 cost files kept; "
        "listed but not in the archive: lost-0, lost-1, lost-2, lost-3, lost-4 and 4 more"
    )
    assert report(ros_files=["a"]).text(silent=False, kept=True) == (
        f"no ROS file of cluster {CLUSTER} to announce; listed but not in the archive: a"
    )


def test_the_sources_api_is_where_its_url_or_its_host_and_port_say(monkeypatch: pytest.MonkeyPatch):
    for name in ("SOURCES_API_BASE_URL", "SOURCES_API_HOST", "SOURCES_API_PORT"):
        monkeypatch.delenv(name, raising=False)
    assert KokuSettings().sources_api == "http://localhost:8002"
    monkeypatch.setenv("SOURCES_API_HOST", "sources")
    monkeypatch.setenv("SOURCES_API_PORT", "8000")
    assert KokuSettings().sources_api == "http://sources:8000"
    monkeypatch.setenv("SOURCES_API_BASE_URL", "http://elsewhere")
    assert KokuSettings().sources_api == "http://elsewhere"
