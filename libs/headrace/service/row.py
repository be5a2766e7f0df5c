"""The row type of the services' table."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from headrace.bus.consumption import Consumption
from headrace.contracts.topics import Topic
from headrace.runtime.set_by import Setting

if TYPE_CHECKING:
    from headrace.database.roles import Access
    from headrace.service.trial import Check


@dataclass(frozen=True)
class Service:
    """One service, which is the folder ``services/headrace_services/<name>``, and what other code needs to know of it.

    - ``port``: where it listens in the local shape; ``port_variable`` is the environment variable that changes it
      (upstream's name, if upstream has one).
    - ``health_path``: the path of its health check; ``openapi_path``: the path of its OpenAPI document.
    - ``known_by``: the environment variables through which other services get its URL, each with the path to append.
    - ``reads``: topics that it reads without a consumer group, so that nothing waits for it.
    - ``database``: the PostgreSQL database of its tables. ``schema`` is the package whose ``migrations`` create them:
      its own, unless services share the database. ``access`` is its right there; one of the sharing services owns it.
    - ``owns_clusters``: it stores data by cluster, and its database has the table of the clusters' owners.
    - ``simulated``: the local shape simulates the external systems that it uses, unless the user configures real ones.
    - ``scripts``: its ``scripts.py`` writes scripts with the names of upstream's, as in the local shape's ``bin``.
    - ``set_by``: the settings that rename or switch off a produced topic or a bucket, by its name in the table.
      `Consumption` has its own.
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
    reads: tuple[Topic[Any], ...] = ()
    buckets: tuple[str, ...] = ()
    database: str | None = None
    schema: str = ""
    access: "Access" = "owns"
    owns_clusters: bool = False
    simulated: bool = False
    scripts: bool = False
    set_by: Mapping[str, Setting] = field(default_factory=dict, hash=False)

    @property
    def topics(self) -> tuple[Topic[Any], ...]:
        """Every topic that the service consumes, produces or reads."""
        return (*(item.topic for item in self.consumes), *self.produces, *self.reads)

    @property
    def settings(self) -> tuple[Setting, ...]:
        """Every setting that changes a value of this row."""
        terms = (setting for item in self.consumes for setting in item.set_by.values())
        return (*terms, *self.set_by.values())

    @property
    def role(self) -> str:
        """The service's role in PostgreSQL, where Headrace names it: locally and in containers."""
        return f"headrace_{self.name}"

    @property
    def role_variable(self) -> str:
        """The variable of the database URL with the service's role; if unset, ``HEADRACE_POSTGRES`` is used."""
        return f"HEADRACE_POSTGRES_{self.name.upper()}"

    @property
    def package(self) -> str:
        """The name of the package with the service's code."""
        return f"headrace_services.{self.name}"

    @property
    def migrations(self) -> Path:
        """The folder with the migrations of the service's database."""
        package = import_module(self.schema or self.package)
        return Path(package.__path__[0]) / "migrations"

    @property
    def check(self) -> "Check | None":
        """What it says of an archive without a stack, where it has a ``check.py``."""
        name = f"{self.package}.check"
        if find_spec(name) is None:
            return None
        check: Check = import_module(name).check
        return check

    def module(self, name: str) -> ModuleType:
        """Import a module of the service's package; only the process that runs the service does."""
        return import_module(f"{self.package}.{name}")
