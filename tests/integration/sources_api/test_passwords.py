import pytest

from headrace.database.pool import Database
from headrace.runtime.errors import ConfigurationError
from headrace_services.sources_api.store import Passwords
from tests.engines import SessionEngines
from tests.integration.sources_api.harness import PSK, Sources, open_sources

KEY = {"x_rh_sources_psk": PSK}
EXPOSED = "expose_encrypted_attribute[]=password"


async def authentication(sources: Sources, org: str) -> str:
    source = await sources.source(org)
    answer = await sources.post(
        "authentications",
        org,
        {"resource_type": "Source", "resource_id": source["id"], "authtype": "token", "password": "s3crét"},
    )
    assert answer.status == 201
    assert "s3cr" not in answer.text
    return answer.json["id"]


async def check_password(sources: Sources, org: str, row_id: str) -> None:
    """Shown to a service that asks for it, and to nobody else."""
    for path in ("authentications", f"authentications/{row_id}", f"authentications/{row_id}?{EXPOSED}"):
        answer = await sources.get(path, org)
        assert "s3cr" not in answer.text
        assert '"password"' not in answer.text
    internal = f"/internal/v2.0/authentications/{row_id}"
    assert (await sources.get(f"{internal}?{EXPOSED}", org)).status == 401
    assert "password" not in (await sources.get(internal, org, **KEY)).json
    assert (await sources.get(f"{internal}?{EXPOSED}", org, **KEY)).json["password"] == "s3crét"
    changed = await sources.patch(f"authentications/{row_id}", org, {"password": "other"})
    assert "other" not in changed.text
    assert (await sources.get(f"{internal}?{EXPOSED}", org, **KEY)).json["password"] == "other"


async def test_a_password_is_never_in_answers_events_or_logs(
    engines: SessionEngines, database: str, org: str, capfd: pytest.CaptureFixture[str]
) -> None:
    async with open_sources(engines.kafka, database) as sources:
        row_id = await authentication(sources, org)
        # Refused bodies are not repeated either.
        bad = {"resource_type": "Tenant", "resource_id": 1, "password": "s3crét"}
        assert "s3cr" not in (await sources.post("authentications", org, bad)).text
        bad = {"password": {"s3crét": 1}}
        assert "s3cr" not in (await sources.patch(f"authentications/{row_id}", org, bad)).text
        records = await sources.events.exactly(org, 2)
        assert not any(b"s3cr" in record.value for record in records)
        await check_password(sources, org, row_id)
    captured = capfd.readouterr()
    assert "s3cr" not in captured.out + captured.err


async def test_with_a_key_passwords_are_encrypted_where_the_server_can(
    engines: SessionEngines, database: str, org: str
) -> None:
    opened = await Database.open(database, database.rpartition("/")[2], service="test")
    can = await opened.fetch_value("select 1 from pg_available_extensions where name = 'pgcrypto'")
    try:
        if not can:
            with pytest.raises(ConfigurationError, match=r"ENCRYPTION_KEY.*pgcrypto"):
                await Passwords(opened, "a key").prepare()
            return
        async with open_sources(engines.kafka, database, ENCRYPTION_KEY="a key") as sources:
            row_id = await authentication(sources, org)
            stored = await opened.fetch_value("select password from authentications")
            assert "s3crét".encode() not in stored
            await check_password(sources, org, row_id)
    finally:
        await opened.close()
