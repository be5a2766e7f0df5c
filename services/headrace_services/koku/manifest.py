"""``manifest.json``: the cluster of an archive and the purpose of its files. No I/O.

Source: project-koku/koku, masu/util/ocp/common.py; upstream's defaults and checks of names are kept.
"""

import re
from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from headrace.contracts.clusters import is_cluster_uuid
from headrace.runtime.errors import Rejected
from headrace.runtime.untrusted import Unreadable, check_json

NAME: Final = "manifest.json"
# The manifest lists an archive's members, at most 20,000.
MAX_BYTES: Final = 2 << 20
_MAX_VALUES: Final = 25_000
_MAX_NAME_BYTES: Final = 255
_UNSAFE: Final = re.compile(r"[/\\\x00-\x1f\x7f]|\.\.")
_SHOWN_ERRORS: Final = 3


def is_apple_double(name: str) -> bool:
    """Return whether macOS' tar added this member for the attributes of another one."""
    return name.startswith("._")


def checked_cluster_id(text: str) -> str:
    """Return the cluster id unchanged; raises `ValueError` unless it is a UUID, which every later reader requires."""
    if not is_cluster_uuid(text):
        raise ValueError(f"{text[:64]!r} is not a UUID")
    return text


def _checked_name(name: str) -> str:
    if name in {"", "."} or _UNSAFE.search(name) or len(name.encode(errors="replace")) > _MAX_NAME_BYTES:
        raise ValueError(f"{name[:64]!r} is not a plain file name")
    return name


def _filled(default: Any) -> BeforeValidator:
    """Treat null as an absent field."""
    return BeforeValidator(lambda value: default if value is None else value)


FileNames = Annotated[tuple[Annotated[str, AfterValidator(_checked_name)], ...], _filled(())]
Flag = Annotated[bool, _filled(False)]


class Manifest(BaseModel):
    """The operator's description of one archive. The archives of a report that was split have the same ``uuid``."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    uuid: UUID
    cluster_id: Annotated[str, AfterValidator(checked_cluster_id)]
    date: datetime
    version: Annotated[str, Field(max_length=1024, pattern="^[^\0]*$"), _filled("")] = ""
    files: FileNames = ()
    resource_optimization_files: FileNames = ()
    start: datetime | None = None
    end: datetime | None = None
    certified: Flag = False
    daily_reports: Flag = False
    cr_status: Annotated[dict[str, Any], _filled({})] = Field(default_factory=dict)

    @classmethod
    def parse(cls, content: bytes) -> "Manifest":
        """Decode and check the manifest; raises `Rejected` with each wrong field."""
        try:
            check_json(content, max_values=_MAX_VALUES)
            return cls.model_validate_json(content)
        except ValidationError as error:
            found = error.errors(include_url=False, include_input=False)
            reasons = [
                f"{'.'.join(str(part) for part in item['loc']) or 'content'}: {item['msg']}"
                for item in found[:_SHOWN_ERRORS]
            ]
            more = f"; and {len(found) - _SHOWN_ERRORS} more" if len(found) > _SHOWN_ERRORS else ""
            raise Rejected(f"{NAME} is not valid: {'; '.join(reasons)}{more}") from None
        except Unreadable as error:
            raise Rejected(f"{NAME} is not valid: content: it is {error}") from None

    @property
    def ros_files(self) -> list[str]:
        """The files for ros_processor, in the manifest's order, each once."""
        return _real(self.resource_optimization_files)

    @property
    def cost_files(self) -> list[str]:
        """The other files listed."""
        ros = set(self.resource_optimization_files)
        return [name for name in _real(self.files) if name not in ros]

    @property
    def source_name(self) -> str:
        """The name that the cluster's administrator gave to its source, or ``""``."""
        source = self.cr_status.get("source")
        name = source.get("name") if isinstance(source, dict) else None
        return name if isinstance(name, str) else ""


def _real(names: tuple[str, ...]) -> list[str]:
    return [name for name in dict.fromkeys(names) if not is_apple_double(name)]
