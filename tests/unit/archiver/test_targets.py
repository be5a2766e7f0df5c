from pathlib import Path

import pytest

from headrace.contracts.uploads import ARCHIVED
from headrace.runtime.errors import ConfigurationError
from headrace.runtime.settings import load
from headrace_services.archiver.settings import ArchiverSettings
from headrace_services.archiver.targets import targets
from headrace_services.archiver.templates import CLUSTER_LAYOUT
from headrace_services.registry import BY_NAME


def test_the_default_table_is_the_registrys_row() -> None:
    table = targets(ArchiverSettings())
    assert {target.template.text for target in table.values()} == {CLUSTER_LAYOUT}
    assert {(target.bucket, target.endpoint) for target in table.values()} == {("insights-archives", None)}
    row = BY_NAME["archiver"]
    assert row.consumes[0].values == frozenset(table) == frozenset(ARCHIVED)
    assert row.buckets == ("insights-archives",)


def test_a_table_names_bucket_endpoint_and_format_by_service(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(
        "ARCHIVER_SERVICES",
        '{"ols": {"bucket": "PROD-OLS-ARCHIVES", "endpoint": "datahub"}, "tower": {"format": "{org_id}/{request_id}"}}',
    )
    monkeypatch.setenv("ARCHIVER_ENDPOINTS", '{"datahub": "https://key:secret@s3.example.com"}')
    table = targets(load(ArchiverSettings))
    assert set(table) == {"ols", "tower"}
    assert table["ols"].bucket == "PROD-OLS-ARCHIVES"
    assert table["ols"].endpoint is not None
    assert (table["ols"].endpoint.url, table["ols"].endpoint.access_key) == ("https://s3.example.com", "key")
    assert table["tower"].bucket == "insights-archives"
    assert not table["tower"].template.needs_cluster_id


def test_storage_brokers_table_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "map.yaml"
    path.write_text(
        """
platform.upload.validation:
  normalizer: Validation
platform.upload.announce:
  normalizer: Openshift
  services:
    openshift:
      format: "{org_id}/{cluster_id}/{timestamp}-{request_id}"
      bucket: insights-buck-it-openshift
    tower:
      normalizer: Tower
      format: "{org_id}/{request_id}"
      bucket: tower-bucket
"""
    )
    table = targets(ArchiverSettings(bucket_map_file=str(path)))
    assert {name: target.bucket for name, target in table.items()} == {
        "openshift": "insights-buck-it-openshift",
        "tower": "tower-bucket",
    }


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("- a", "has no platform.upload.announce"),
        ("platform.upload.announce: {services: [ols]}", "has no platform.upload.announce"),
        ("platform.upload.announce: {services: {ols: {fromat: x}}}", "fromat"),
        ("platform.upload.announce: {services: {ols: x}}", "BUCKET_MAP_FILE"),
        ("platform.upload.announce: {services: {ols: {format: '{tenant}'}}}", "got field 'tenant'"),
        ("a: [", "cannot read"),
    ],
)
def test_a_table_that_cannot_work_is_refused_at_start(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "map.yaml"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=reason):
        targets(ArchiverSettings(bucket_map_file=str(path)))


def test_a_missing_file_and_an_unknown_endpoint_are_named() -> None:
    with pytest.raises(ConfigurationError, match="BUCKET_MAP_FILE: cannot read '/nowhere'"):
        targets(ArchiverSettings(bucket_map_file="/nowhere"))
    with pytest.raises(
        ConfigurationError, match="got endpoint 'datahub', expected a name in ARCHIVER_ENDPOINTS: none"
    ):
        targets(ArchiverSettings(endpoint="datahub"))
    with pytest.raises(ConfigurationError, match="empty table"):
        targets(ArchiverSettings(services={}))
