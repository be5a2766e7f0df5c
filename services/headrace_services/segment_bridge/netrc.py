"""Logins from a netrc file, as curl takes them."""

import netrc
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp

from headrace.runtime.errors import ConfigurationError


@dataclass(frozen=True)
class Login:
    """A user and a password, which may be empty, as with Segment's write keys."""

    user: str = field(repr=False)
    password: str = field(repr=False)

    @property
    def header(self) -> str:
        """Return the value of ``Authorization``."""
        return aiohttp.encode_basic_auth(self.user, self.password)


def login_for(url: str, path: Path | str, *, variable: str = "CURL_NETRC") -> Login:
    """The login for the URL's host, else the file's default; raises `ConfigurationError` that names ``variable``."""
    file, host = Path(path).expanduser(), urlsplit(url).hostname or ""
    try:
        entry = netrc.netrc(str(file)).authenticators(host)
    except netrc.NetrcParseError as error:
        # The parser's text quotes the unexpected word, which may be the password.
        raise ConfigurationError(
            f"{variable}: {file} is not a netrc file, near line {error.lineno}"
        ) from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ConfigurationError(f"{variable}: {file} cannot be read: {reason}") from None
    if entry is None or not entry[0]:
        raise ConfigurationError(f"{variable}: {file} has no login for machine {host}")
    if ":" in entry[0]:
        raise ConfigurationError(f"{variable}: {file}: the login for machine {host} contains a colon")
    return Login(entry[0], entry[2] or "")
