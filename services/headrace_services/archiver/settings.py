"""What an operator can set."""

from pydantic import BaseModel, ConfigDict, Field

from headrace.runtime.settings import Settings, env
from headrace_services.archiver.templates import CLUSTER_LAYOUT

# Those whose archives name a cluster. Of the rest (advisor, tower, ansible and so on) none does, so that each of
# their uploads would be rejected here; the table can take them in with a template that needs no cluster id.
DEFAULT_SERVICES = ("openshift", "ols", "ocm-assisted-chat", "rhos-lightspeed", "hccm", "assisted-installer")


class TargetRow(BaseModel):
    """One row of the table; what is left out is the default."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    bucket: str = ""
    endpoint: str = ""
    format: str = Field(default=CLUSTER_LAYOUT, description="key template")


class ArchiverSettings(Settings):
    """Settings of the archiver."""

    bucket: str = env(
        "ARCHIVER_BUCKET",
        "insights-archives",
        "bucket for every service whose row names none (MinIO and AWS take lower-case names only)",
    )
    services: dict[str, TargetRow] = env(
        "ARCHIVER_SERVICES",
        {name: TargetRow() for name in DEFAULT_SERVICES},
        "JSON table: service to `bucket`, `endpoint` (a name in ARCHIVER_ENDPOINTS) and `format` (key template), "
        "each optional",
    )
    endpoint: str = env(
        "ARCHIVER_ENDPOINT",
        "",
        "name in ARCHIVER_ENDPOINTS for every service whose row names none; empty: the platform's own S3",
    )
    endpoints: dict[str, str] = env(
        "ARCHIVER_ENDPOINTS", {}, "JSON object: name to `https://key:secret@host:port`", repr=False
    )
    endpoint_region: str = env("ARCHIVER_ENDPOINT_REGION", "us-east-1", "region of those endpoints")
    bucket_map_file: str = env(
        "BUCKET_MAP_FILE", "", "storage-broker's YAML table, instead of ARCHIVER_SERVICES"
    )
    stage_bucket: str = env(
        "INGRESS_STAGEBUCKET", "insights-upload-perma", "bucket where ingress stores uploads"
    )
    allowed_hosts: frozenset[str] = env(
        "ARCHIVER_ALLOWED_HOSTS",
        frozenset(),
        "JSON list of `host` or `host:port`: where uploads announced by another ingress may be fetched from; "
        "our own S3 is always read with our own keys",
    )
    max_fetch_bytes: int = env(
        "ARCHIVER_MAX_FETCH_BYTES", 1 << 30, "largest upload fetched from those hosts", gt=0
    )
    fetch_seconds: float = env(
        "ARCHIVER_FETCH_SECONDS", 120.0, "deadline of one fetch from those hosts", gt=0
    )
    url_seconds: int = env(
        "API_URL_EXPIRY", 30, "how long the URLs of `/archive/url` are valid", gt=0, le=604_800
    )
    auth: bool = env(
        "ARCHIVER_AUTH",
        True,
        "want an `x-rh-identity` and show an organisation its own archives only; false shows everyone all, as "
        "storage-broker does, for a port that only trusted services reach",
    )
