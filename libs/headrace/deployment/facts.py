"""The hand-written table of Kubernetes settings beside the services' table: sizes, replicas, access."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from headrace.runtime.errors import ConfigurationError
from headrace.service.row import Service

_QUANTITY = r"^\d+(m|Mi|Gi)?$"


class Facts(BaseModel):
    """The settings of one service; quantities are in Kubernetes' notation."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    replicas: int = Field(ge=1)
    cpu: str = Field(pattern=_QUANTITY)
    memory: str = Field(pattern=_QUANTITY)
    memory_limit: str = Field(pattern=_QUANTITY)
    temporary: str = Field(pattern=_QUANTITY)
    lag: int = Field(ge=1)
    max_replicas: int = Field(ge=1)
    access: tuple[Literal["gateway", "operators", "installer"], ...] = ()
    environment: Mapping[str, str] = {}
    alone: bool = False
    egress_ports: tuple[int, ...] = ()
    claim: str = ""
    claim_path: str = ""
    schedule: str = ""
    arguments: tuple[str, ...] = ()


class Table(BaseModel):
    """The whole file; a service that it does not name has the defaults."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    engine_ports: tuple[int, ...]
    defaults: Facts
    services: Mapping[str, Mapping[str, Any]]

    @classmethod
    def read(cls, path: Path, rows: Iterable[Service]) -> Self:
        """Read and check against the services' table; raises ConfigurationError naming what is wrong."""
        try:
            table = cls.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
        except (OSError, yaml.YAMLError, ValidationError) as error:
            raise ConfigurationError(f"{path}: {error}") from error
        unknown = sorted(table.services.keys() - {row.name for row in rows})
        if unknown:
            raise ConfigurationError(f"{path}: no service is named {', '.join(unknown)}")
        return table

    def of(self, row: Service) -> Facts:
        """Return the facts of a service, with defaults filled in."""
        try:
            return Facts.model_validate(self.defaults.model_dump() | dict(self.services.get(row.name, {})))
        except ValidationError as error:
            raise ConfigurationError(f"{row.name}: {error}") from error
