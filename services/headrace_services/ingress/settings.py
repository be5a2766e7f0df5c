"""The settings of ingress: upstream's environment variables, and some of Headrace's own."""

import json
from functools import cached_property
from typing import Annotated, Any, Final, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints
from pydantic_settings import NoDecode

from headrace.contracts.identity import NAME_PATTERN
from headrace.contracts.uploads import ACCEPTED
from headrace.objects.endpoint import S3Endpoint
from headrace.runtime.settings import EngineSettings, Settings, env
from headrace_services.ingress import clowder

# Upstream's variables that are accepted without effect, with the reason.
WITHOUT_EFFECT: Final = {
    "INGRESS_MAXUPLOADMEM": "bodies are streamed; INGRESS_BUFFERBYTES bounds their memory",
    "INGRESS_KAFKAGROUPID": "ingress consumes nothing",
    "INGRESS_KAFKADELIVERYREPORTS": "every send is acknowledged before its upload is answered",
    "INGRESS_LOGLEVEL": "HEADRACE_LOG_LEVEL sets the process' level",
    "INGRESS_DEBUG": "whole requests, identities included, are never logged",
    "INGRESS_DEBUGUSERAGENT": "whole requests, identities included, are never logged",
    "INGRESS_PROFILE": "there is no profiler to expose",
    "INGRESS_TLSCAPATH": "SSL_CERT_FILE names the CA bundle",
    "INGRESS_HOSTNAME": "generated request ids do not hold the host name",
    "INGRESS_LOGGROUP": "logs go to stdout; a collector ships them",
    "INGRESS_AWSREGION": "logs go to stdout; a collector ships them",
    "INGRESS_AWSACCESSKEYID": "logs go to stdout; a collector ships them",
    "INGRESS_AWSSECRETACCESSKEY": "logs go to stdout; a collector ships them",
}


def _commas(value: Any) -> Any:
    return frozenset(value.split(",")) if isinstance(value, str) else value


def _words(value: Any) -> Any:
    return frozenset(value.split()) if isinstance(value, str) else value


def _brokers(value: Any) -> Any:
    return ",".join(value.replace(",", " ").split()) if isinstance(value, str) else value


def _json(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value


CommaList = Annotated[frozenset[str], NoDecode, BeforeValidator(_commas)]
WordList = Annotated[frozenset[str], NoDecode, BeforeValidator(_words)]
SizeMap = Annotated[dict[str, Annotated[int, Field(gt=0)]], NoDecode, BeforeValidator(_json)]


# A cluster id as a User-Agent may contain it.
ClusterId = Annotated[str, StringConstraints(pattern="^[!-~]{1,200}$")]


class TokenRow(BaseModel):
    """The organisation of a credential; ``clusters``, if given, are the only ones for which it may send."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    org_id: str = Field(pattern=f"^{NAME_PATTERN}$")
    account_number: str = Field("", pattern=f"^({NAME_PATTERN})?$")
    clusters: list[ClusterId] | None = None


# The pattern refuses a token that is entered in place of its digest.
Digest = Annotated[str, StringConstraints(to_lower=True, pattern="^[0-9a-fA-F]{64}$")]
TokenTable = Annotated[dict[Digest, TokenRow], NoDecode, BeforeValidator(_json)]


class IngressSettings(Settings):
    """Settings with upstream's names have upstream's meaning unless the description says otherwise."""

    web_port: int | None = env("INGRESS_WEBPORT", None, "port for uploads; 3000 if unset", ge=0, le=65535)
    metrics_port: int | None = env(
        "INGRESS_METRICSPORT", None, "an additional port for `/metrics`, beside the process' admin port"
    )
    auth: bool = env("INGRESS_AUTH", True, "require and check an identity; also enables `/track`")
    valid_upload_types: CommaList = env(
        "INGRESS_VALID_UPLOAD_TYPES",
        ACCEPTED,
        "accepted services, comma-separated",
    )
    default_max_size_bytes: int = env("INGRESS_DEFAULTMAXSIZE", 104857600, "largest upload in bytes", gt=0)
    max_size_bytes: SizeMap = env(
        "INGRESS_MAXSIZEMAP", {"qpc": 157286400}, "largest upload per service, JSON object of bytes"
    )
    deny_listed_org_ids: WordList = env(
        "INGRESS_DENY_LISTED_ORGIDS",
        frozenset(),
        "organisations that are answered 403, separated by white space",
    )
    stager: str = env("INGRESS_STAGERIMPLEMENTATION", "s3", "`s3` or `filebased`", pattern="^(s3|filebased)$")
    stage_bucket: str = env("INGRESS_STAGEBUCKET", "insights-upload-perma", "bucket of staged uploads")
    minio_endpoint: str = env("INGRESS_MINIOENDPOINT", "", "`host:port` of S3; empty: `HEADRACE_S3`")
    minio_access_key: str = env("INGRESS_MINIOACCESSKEY", "", "S3 access key")
    minio_secret_key: str = env("INGRESS_MINIOSECRETKEY", "", "S3 secret key", repr=False)
    storage_region: str = env("INGRESS_STORAGEREGION", "", "S3 region")
    use_ssl: bool = env("INGRESS_USESSL", False, "use https for S3")
    storage_path: str = env("INGRESS_STORAGEFILESYSTEMPATH", "", "directory of the file-based stager")
    service_base_url: str = env(
        "INGRESS_SERVICEBASEURL", "http://localhost:3000", "base of the file-based stager's URLs"
    )
    kafka_brokers: Annotated[str, BeforeValidator(_brokers)] = env(
        "INGRESS_KAFKABROKERS", "", "brokers, separated by white space or commas; empty: `HEADRACE_KAFKA`"
    )
    announce_topic: str = env(
        "INGRESS_KAFKAANNOUNCETOPIC", "platform.upload.announce", "topic of announcements"
    )
    status_topic: str = env(
        "INGRESS_KAFKATRACKERTOPIC", "platform.payload-status", "topic of payload statuses"
    )
    sources_topic: str = env(
        "INGRESS_KAFKASOURCESTOPIC",
        "platform.sources.event-stream",
        "topic for the copy of the announcement that the ROS document describes; `none` switches it off",
    )
    kafka_security_protocol: str = env(
        "INGRESS_KAFKASECURITYPROTOCOL", "", "as upstream; empty: `HEADRACE_KAFKA_*`"
    )
    kafka_username: str = env("INGRESS_KAFKAUSERNAME", "", "SASL user name")
    kafka_password: str = env("INGRESS_KAFKAPASSWORD", "", "SASL password", repr=False)
    sasl_mechanism: str = env("INGRESS_SASLMECHANISM", "", "SASL mechanism")
    kafka_ca: str = env("INGRESS_KAFKACA", "", "CA bundle of the brokers")
    payload_tracker_url: str = env(
        "INGRESS_PAYLOADTRACKERURL",
        "http://localhost:8003/api/v1/payloads/",
        "URL of the payload tracker, with a trailing slash",
    )
    http_client_timeout_seconds: float = env(
        "INGRESS_HTTPCLIENTTIMEOUT", 10.0, "deadline of `/track` in seconds", gt=0
    )
    build_commit: str = env("OPENSHIFT_BUILD_COMMIT", "notrunninginopenshift", "commit that `/version` shows")

    acg_config: str = env(
        "ACG_CONFIG", "", "Clowder's configuration file; its values take precedence over variables"
    )

    tokens: TokenTable = env(
        "INGRESS_TOKENS",
        {},
        (
            "senders without a gateway: JSON object that maps the SHA-256 (hex) of an Authorization credential "
            'to `{"org_id":…,"account_number":…,"clusters":[…]}`; if `clusters` is given, the token may send '
            "only for these"
        ),
        repr=False,
    )
    default_org_id: str = env(
        "INGRESS_DEFAULTORGID",
        "",
        "organisation of an unknown token; empty: 401 (local shape: 12345)",
        pattern=f"^({NAME_PATTERN})?$",
    )
    default_service: str = env(
        "INGRESS_DEFAULTSERVICE",
        "",
        "service of a file part without a vendor content type; empty: 415 (local shape: hccm)",
    )
    max_concurrent_uploads: int = env(
        "INGRESS_MAXCONCURRENTUPLOADS",
        64,
        "number of uploads that are stored at once; others wait, then get 429",
        gt=0,
    )
    buffer_bytes: int = env(
        "INGRESS_BUFFERBYTES",
        40 << 20,
        "memory for the bodies of more than 5 MiB that are on their way to S3",
        ge=5 << 20,
    )
    queue_seconds: float = env(
        "INGRESS_QUEUESECONDS", 8.0, "time that an upload waits for a place before it gets 429", gt=0
    )
    max_parts: int = env("INGRESS_MAXPARTS", 1000, "largest number of parts in a multipart body", gt=0)
    body_base_seconds: float = env(
        "INGRESS_BODYSECONDS",
        60.0,
        "time for a body, in addition to the time of its size limit at 256 KiB/s",
        gt=0,
    )
    min_rate_window_seconds: float = env(
        "INGRESS_MINRATESECONDS", 10.0, "a body that is slower than 1 KiB/s over this time is refused", gt=0
    )
    store_seconds: float = env(
        "INGRESS_STORESECONDS", 9.0, "time for storing after the last byte; then the answer is 503", gt=0
    )
    announce_seconds: float = env(
        "INGRESS_ANNOUNCESECONDS", 8.0, "time for Kafka's acknowledgement; then the answer is 503", gt=0
    )
    url_expiry_seconds: int = env("INGRESS_URLEXPIRYSECONDS", 86400, "lifetime of the presigned URL", gt=0)

    @classmethod
    def read(cls) -> Self:
        """Read the settings from the environment, then from Clowder's file."""
        settings = super().read()
        if not settings.acg_config:
            return settings
        asked = {name: getattr(settings, name) for name in ("announce_topic", "status_topic", "stage_bucket")}
        return settings.model_copy(update=clowder.settings_of(settings.acg_config, asked))

    def limit_bytes(self, service: str) -> int:
        """Return the size limit of uploads for a service."""
        return self.max_size_bytes.get(service, self.default_max_size_bytes)

    @cached_property
    def largest_bytes(self) -> int:
        """The largest size limit of any service."""
        return max([self.default_max_size_bytes, *self.max_size_bytes.values()])

    def s3(self, engines: EngineSettings) -> S3Endpoint:
        """Return the S3 for uploads: upstream's variables first, else the platform's own."""
        if not self.minio_endpoint:
            return S3Endpoint.of(engines)
        return S3Endpoint.parse(
            f"{'https' if self.use_ssl else 'http'}://{self.minio_endpoint}",
            access_key=self.minio_access_key,
            secret_key=self.minio_secret_key,
            region=self.storage_region,
            public_url=engines.s3_public,
        )

    def kafka(self, engines: EngineSettings) -> EngineSettings:
        """Return the Kafka for announcements: upstream's variables first, else the platform's own."""
        own = {
            "kafka": self.kafka_brokers,
            "kafka_security_protocol": self.kafka_security_protocol,
            "kafka_username": self.kafka_username,
            "kafka_password": self.kafka_password,
            "kafka_sasl_mechanism": self.sasl_mechanism,
            "kafka_ca_file": self.kafka_ca,
        }
        return engines.model_copy(update={name: value for name, value in own.items() if value})
