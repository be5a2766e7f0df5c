"""Where the parts of a stack are."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from headrace.laptop.status import urls
from headrace.run_file import running_stack
from headrace.runtime.errors import ConfigurationError

_SERVICES = ("ingress", "payload_tracker", "archiver")


@dataclass(frozen=True)
class Places:
    """URLs with credentials; `services` are by name. ``directory`` is None for a stack that runs elsewhere."""

    services: Mapping[str, str]
    kafka: str
    s3: str
    postgres: str
    directory: Path | None = None

    @classmethod
    def at(cls, place: Path) -> Self:
        """Read them: of the stack that runs on a directory, or of a file that `headrace urls --json` wrote.

        Raises ConfigurationError if no stack runs there, or if it is no such file.
        """
        if place.is_dir() or not place.exists():
            return cls._of(urls(running_stack(place)), str(place), place)
        try:
            known = json.loads(place.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ConfigurationError(
                f"{place}: {error}; expected what `headrace urls --json` prints"
            ) from None
        return cls._of(known, str(place), None)

    @classmethod
    def _of(cls, known: Mapping[str, Any], source: str, directory: Path | None) -> Self:
        try:
            services = {name: str(row["url"]) for name, row in known["services"].items()}
            engines = {name: str(row["url"]) for name, row in known["engines"].items()}
            missing = [name for name in _SERVICES if name not in services]
            if missing:
                raise KeyError(*missing)
            return cls(services, engines["kafka"], engines["s3"], engines["postgres"], directory)
        except (KeyError, TypeError, AttributeError) as error:
            raise ConfigurationError(
                f"{source} lacks {error}; expected what `headrace urls --json` prints"
            ) from None

    def service(self, name: str) -> str:
        """Return a service's URL; raises ConfigurationError if the stack does not have the service."""
        if name not in self.services:
            raise ConfigurationError(f"the stack has no {name}; it has {', '.join(self.services)}")
        return self.services[name]
