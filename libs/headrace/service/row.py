"""The row type of the services' table."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from headrace.bus.consumption import Consumption, Setting
from headrace.contracts.topics import Topic

if TYPE_CHECKING:
    from headrace.database.roles import Access


@dataclass(frozen=True)
class Service:
    """One service: the folder ``services/headrace_services/<name>`` and everything others must know of it.

    ``port`` is where it listens in the local shape, ``port_variable`` the environment variable that moves it
    (upstream's where upstream has one). ``database`` is the PostgreSQL database it keeps its tables in, ``schema``
    the package whose ``migrations`` make them (its own, unless it shares the database), ``access`` what it may do
    there: one of those that share a database owns it. ``owns_clusters``: it files things under clusters, and its
    database says whose each is. ``health_path`` is what a health curl asks, ``openapi_path`` where the service
    describes itself. ``known_by`` are the environment variables in which others are told its URL, each with the path
    that goes with it. ``set_by`` are the settings that rename or switch off a topic that it produces or a bucket, by
    the name in the table (`Consumption` has its own). ``simulated``: the local shape simulates the systems outside the
    platform that it talks to, unless a person names their own.
    """

    name: str
    summary: str
    port: int | None = None
    port_variable: str = ""
    health_path: str = "/"
    openapi_path: str = "/openapi.json"
    known_by: tuple[tuple[str, str], ...] = ()
    consumes: tuple[Consumption, ...] = ()
    produces: tuple[Topic[Any], ...] = ()
    buckets: tuple[str, ...] = ()
    database: str | None = None
    schema: str = ""
    access: "Access" = "owns"
    owns_clusters: bool = False
    simulated: bool = False
    set_by: Mapping[str, Setting] = field(default_factory=dict, hash=False)

    @property
    def topics(self) -> tuple[Topic[Any], ...]:
        """Every topic it reads or writes."""
        return (*(item.topic for item in self.consumes), *self.produces)

    @property
    def settings(self) -> tuple[Setting, ...]:
        """Every setting that changes a value of this row."""
        terms = (setting for item in self.consumes for setting in item.set_by.values())
        return (*terms, *self.set_by.values())

    @property
    def role(self) -> str:
        """Its role in PostgreSQL, where Headrace names it: locally and in containers."""
        return f"headrace_{self.name}"

    @property
    def role_variable(self) -> str:
        """The environment variable of the URL with its own role; without one it uses ``HEADRACE_POSTGRES``."""
        return f"HEADRACE_POSTGRES_{self.name.upper()}"

    @property
    def migrations(self) -> Path:
        """The folder of its database's migrations."""
        package = import_module(self.schema or f"headrace_services.{self.name}")
        return Path(package.__path__[0]) / "migrations"

    def module(self, name: str) -> ModuleType:
        """Import ``headrace_services.<service>.<name>``, only in the process that runs it."""
        return import_module(f"headrace_services.{self.name}.{name}")
