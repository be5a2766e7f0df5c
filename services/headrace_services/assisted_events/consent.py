"""The consent of the whole installation, checked when an installation ends and before each sending."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from headrace.runtime.errors import Retryable
from headrace_services.assisted_events.credentials import BadCredentials, OptedOut, telemetry
from headrace_services.assisted_events.settings import AssistedSettings

DISABLED: Final = "data collection is off (ENABLE_DATA_COLLECTION=false)"
OPTED_OUT: Final = "this cluster is opted out"


def management_secret(settings: AssistedSettings) -> str:
    """Return the management cluster's present pull secret, ``""`` if none is configured.

    Raises `BadCredentials` for a file that cannot be read or is empty, because its content is then unknown.
    """
    if not settings.pull_secret_file:
        return settings.pull_secret
    try:
        secret = Path(settings.pull_secret_file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadCredentials(f"ASSISTED_PULL_SECRET_FILE cannot be read: {type(error).__name__}") from None
    if not secret.strip():
        raise BadCredentials("ASSISTED_PULL_SECRET_FILE is empty")
    return secret


@dataclass
class Consent:
    """The installation's consent: its setting, and its pull secret if one is configured.

    ``problem`` is the reason why it was unknown at the last check.
    """

    settings: AssistedSettings
    problem: str | None = field(default=None, init=False)

    def refusal(self) -> str:
        """Return why nothing may be sent, ``""`` if sending is allowed; raises `Retryable` while that is unknown."""
        self.problem = None
        if not self.settings.enabled:
            return DISABLED
        try:
            secret = management_secret(self.settings)
            if secret and not self.settings.either_pull_secret:
                telemetry(secret)
        except OptedOut as error:
            return f"opted out of telemetry: management pull secret: {error}"
        except BadCredentials as error:
            self.problem = f"management pull secret: {error}"
            raise Retryable(self.problem) from None
        return ""
