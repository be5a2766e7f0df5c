import json
from datetime import UTC, datetime, timedelta, timezone

import pytest

from headrace.contracts.assisted import (
    CLUSTER_FIELDS,
    HOST_FIELDS,
    INFRA_ENV_FIELDS,
    anonymized,
    event_id,
    outcome_of,
    user_id,
)
from headrace_services.assisted_events.credentials import Entry
from headrace_services.assisted_events.sanitising import Sanitiser, model_of, with_identity
from headrace_services.assisted_events.settings import AS_BUILT, AS_DESIGNED

SECRETS = (
    "fencing_credentials", "http_proxy", "https_proxy", "no_proxy", "proxy", "ssh_public_key", "ssh_authorized_key",
    "install_config_overrides", "ignition_config_overrides", "ignition_config_override", "installer_args",
    "static_network_config", "download_url", "ignition_endpoint", "additional_trust_bundle", "kernel_arguments",
    "user_name", "ignition_endpoint_http_headers", "tang_connectivity",
)  # fmt: skip


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("jdoe", "139965629462457203380062924807135839547"),
        ("jdoe@example.com", "39214980326650535127415157180652311514"),
    ],
)
def test_a_user_is_hashed_as_the_scraper_does(name: str, number: str) -> None:
    assert user_id(name) == number
    assert anonymized({"user_name": name, "id": "c"}) == {"id": "c", "user_id": number}


def test_no_user_and_no_field_are_told_apart() -> None:
    assert anonymized({"user_name": ""}) == {"user_id": None}
    assert anonymized({"user_name": None}) == {"user_id": None}
    assert anonymized({"id": "c"}) == {"id": "c"}


def test_an_event_has_the_scrapers_id() -> None:
    found = event_id("2026-01-02T03:04:05.678Z", "11111111-2222-4333-8444-555555555555", "Cluster installed")
    assert found == "172546460410532280572266420741581981837"


@pytest.mark.parametrize(
    ("status", "completed", "outcome"),
    [
        ("installed", None, "installed"),
        ("cancelled", None, "cancelled"),
        ("error", None, "error"),
        ("adding-hosts", datetime(2026, 1, 1, tzinfo=UTC), "installed"),
        ("adding-hosts", None, None),
        ("installing", None, None),
    ],
)
def test_end_states(status: str, completed: datetime | None, outcome: str | None) -> None:
    assert outcome_of(status, completed) == outcome


@pytest.mark.parametrize(
    ("kind", "fields"), [("cluster", CLUSTER_FIELDS), ("host", HOST_FIELDS), ("infra_env", INFRA_ENV_FIELDS)]
)
def test_weak_point_users_are_hashed_and_secrets_removed_in_clusters_hosts_and_infra_envs(
    kind: str, fields: tuple[str, ...]
) -> None:
    model = model_of(kind, {name: f"PLANTED-{name}" for name in fields})
    left = Sanitiser.of(AS_DESIGNED, []).model(model)
    assert left["user_id"] == user_id("PLANTED-user_name")
    assert not left.keys() & set(SECRETS)
    assert not [name for name in SECRETS if f'"PLANTED-{name}"' in json.dumps(left)]
    assert set(model) - set(SECRETS) == set(left) - {"user_id"}


def test_as_built_sends_what_upstream_sends() -> None:
    model = model_of("cluster", {name: f"value of {name}" for name in CLUSTER_FIELDS})
    left = Sanitiser.of(AS_BUILT, ["value of user_name"]).model(model)
    assert left == {name: f"value of {name}" for name in CLUSTER_FIELDS}


def test_columns_that_the_contract_does_not_know_stay_here() -> None:
    row = {"id": "c", "pull_secret": "PLANTED", "kube_key_name": "PLANTED", "ui_settings": "PLANTED"}
    assert model_of("cluster", row) == {"id": "c"}


def test_image_info_is_read_of_a_real_databases_columns_and_external_platforms_are_an_object() -> None:
    row = {
        "image_type": "full-iso",
        "image_size_bytes": 5,
        "platform_type": "external",
        "platform_external_platform_name": "oci",
        "platform_external_cloud_controller_manager": "External",
        "last_installation_preparation_status": "success",
        "load_balancer_type": "user-managed",
        "ignition_endpoint_url": "http://PLANTED",
    }
    model = model_of("cluster", row)
    assert model == {
        "image_info": {"type": "full-iso", "size_bytes": 5},
        "platform": {
            "type": "external",
            "external": {"platform_name": "oci", "cloud_controller_manager": "External"},
        },
        # The one name of upstream's that has hyphens.
        "last-installation-preparation": {"status": "success"},
        "load_balancer": {"type": "user-managed"},
        "ignition_endpoint": {"url": "http://PLANTED"},
    }
    assert "PLANTED" not in json.dumps(Sanitiser.of(AS_DESIGNED, []).model(model))


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("cluster", ["user_managed_networking", "vip_dhcp_allocation", "hyperthreading", "total_host_count"]),
        ("host", ["stage_started_at", "stage_updated_at", "discovery_agent_version", "registered_at"]),
        ("infra_env", ["generator_version", "created_at", "updated_at", "network_discovery_delay_seconds"]),
    ],
)
def test_what_the_analysis_wants_leaves_in_both_modes(kind: str, names: list[str]) -> None:
    for mode in (AS_DESIGNED, AS_BUILT):
        model = Sanitiser.of(mode, []).model(model_of(kind, dict.fromkeys(names, "x")))
        assert model == dict.fromkeys(names, "x")


def test_secrets_inside_objects_are_removed_too() -> None:
    model = {"image_info": {"ssh_public_key": "PLANTED", "download_url": "PLANTED", "type": "full-iso"}}
    assert Sanitiser.of(AS_DESIGNED, []).model(model) == {"image_info": {"type": "full-iso"}}


def test_users_and_credentials_are_blanked_out_in_texts() -> None:
    sanitiser = Sanitiser.of(AS_DESIGNED, ["jdoe", "jdoe@example.com", "", None, "x"])
    event = {
        "message": "jdoe@example.com and jdoe (not jdoes) used http://u:PLANTED@proxy:3128",
        "props": '{"user":"jdoe","header":"Bearer PLANTED"}',
    }
    left = sanitiser.texts(event)
    assert left["message"] == (
        f"{user_id('jdoe@example.com')} and {user_id('jdoe')} (not jdoes) used http://u:***@proxy:3128"
    )
    assert json.loads(left["props"]) == {"user": user_id("jdoe"), "header": "Bearer ***"}


def test_weak_point_the_identity_is_filled_in_without_changing_the_cluster() -> None:
    identity = Entry(auth="x", username="jdoe", email="jdoe@example.com")
    cluster = {"id": "c", "email_domain": "Unknown"}
    filled = with_identity(cluster, identity)
    assert cluster == {"id": "c", "email_domain": "Unknown"}
    assert filled == {"id": "c", "email_domain": "example.com", "user_name": "jdoe"}
    known = {"user_name": "other", "email_domain": "example.org"}
    assert with_identity(known, identity) == known


def test_weak_point_an_unknown_email_domain_stays_where_nobody_knows_better() -> None:
    assert with_identity({"email_domain": "Unknown"}, Entry()) == {"email_domain": "Unknown"}


def test_a_row_becomes_upstreams_model() -> None:
    row = {
        "id": "h",
        "status": None,
        "created_at": datetime(2026, 1, 2, 3, 4, 5, 678_901, tzinfo=timezone(timedelta(hours=1))),
        "inventory": '{"a":1}',
        "progress_current_stage": "Done",
        "progress_installation_percentage": 100,
        "progress_stages": ["Starting", "Done"],
        "bootstrap": False,
    }
    assert model_of("host", row) == {
        "id": "h",
        "bootstrap": False,
        "inventory": '{"a":1}',
        "progress": {"current_stage": "Done", "installation_percentage": 100, "stages": ["Starting", "Done"]},
        "progress_stages": ["Starting", "Done"],
        "created_at": "2026-01-02T02:04:05.678Z",
    }
    assert model_of("host", {"progress": '{"a":1}'}, {"progress"}) == {"progress": {"a": 1}}
