"""The checked configuration of one collector; plain data, so that it can be passed to another process."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from headrace_services.ols_collector.generations import CHUNK_LIMIT_BYTES, GENERATIONS, KINDS, Generation

CLUSTER_ID_PLACE: Final = "{cluster_id}"


@dataclass(frozen=True)
class Plan:
    """Times are in seconds, sizes in bytes.

    ``initial_wait`` 0: none. ``collection_interval`` 0: one cycle. ``retry_interval`` is the wait after a failed cycle;
    0 means the usual interval.
    """

    data_storage: str
    ingress_url: str
    sso_url: str
    accounts_url: str
    user_agent: str
    generation: int = 2
    service_id: str = "ols"
    log_level: str = "INFO"
    collection_interval: float = 7200.0
    retry_interval: float = 0.0
    initial_wait: float = 300.0
    ingress_timeout: float = 30.0
    ingress_base_delay: float = 60.0
    ingress_max_retries: int = 3
    ingress_retry_budget: float = 900.0
    access_token_generation_timeout: float = 5.0
    stop_seconds: float = 25.0
    storage_limit_bytes: int = 0
    chunk_limit_bytes: int = CHUNK_LIMIT_BYTES
    allowed_subdirs: tuple[str, ...] = ()
    disabled_kinds: tuple[str, ...] = ()
    keep: bool = False
    dry_run: bool = False
    cluster_id: str = ""
    pull_secret_file: str = ""
    client_id: str = ""
    auth_token: str = field(default="", repr=False)
    cp_offline_token: str = field(default="", repr=False)
    client_secret: str = field(default="", repr=False)

    @property
    def root(self) -> Path:
        """The directory of the data."""
        return Path(self.data_storage)

    @property
    def form(self) -> Generation:
        """The generation of its archives."""
        return GENERATIONS[self.generation]

    @property
    def collects_nothing(self) -> bool:
        """Whether the user has disabled every kind of data."""
        return len(set(self.disabled_kinds)) == len(KINDS)

    @property
    def content_type(self) -> str:
        """The content type of the uploaded part."""
        return self.form.content_type.replace("{service_id}", self.service_id)

    @property
    def most_stored_bytes(self) -> int:
        """The limit of data on disk, beyond which the oldest files are deleted unsent."""
        return self.storage_limit_bytes or self.form.storage_limit_bytes

    def user_agent_of(self, cluster_id: str) -> str:
        """Return the User-Agent that names a cluster."""
        return self.user_agent.replace(CLUSTER_ID_PLACE, cluster_id)
