from datetime import datetime, timedelta

from headrace.installations.origin import DEFAULT_NOW
from headrace.samples.app_studio import tenant_namespaces, user_signups
from headrace.samples.audit import AuditOptions, audit_records, write_audit_log
from headrace_services.segment_bridge.audit import AuditOutcome, rows


def test_equal_options_give_equal_records():
    options = AuditOptions(records=50, seed=3)
    assert list(audit_records(options)) == list(audit_records(options))
    assert list(audit_records(options)) != list(audit_records(AuditOptions(records=50, seed=4)))
    assert list(user_signups(5, seed=3)) == list(user_signups(5, seed=3))


def test_records_lie_in_the_hours_before_now_in_order():
    times = [datetime.fromisoformat(r["requestReceivedTimestamp"]) for r in audit_records(AuditOptions())]
    assert times == sorted(times)
    assert DEFAULT_NOW - timedelta(hours=4) <= times[0] < times[-1] < DEFAULT_NOW


def test_every_user_has_a_namespace_of_the_same_workspace():
    users = {item["status"]["compliantUsername"] for item in user_signups(9)}
    spaces = {
        labels.get("toolchain.dev.openshift.com/space")
        for labels in (item["metadata"]["labels"] for item in tenant_namespaces(9))
    }
    assert users == spaces - {None}


async def test_every_query_means_some_and_most_are_meant_by_none(tmp_path):
    path = write_audit_log(tmp_path / "audit.jsonl", AuditOptions(records=2000, padding_bytes=50))
    outcome = AuditOutcome()
    found = [row async for row in rows([path], outcome)]
    assert all(outcome.rows.values())
    assert 0.15 < len(found) / outcome.lines < 0.25
    assert outcome.complete
