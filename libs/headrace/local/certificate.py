"""A self-signed certificate for a simulator with HTTPS, created by the machine's openssl."""

import shutil
import subprocess
from pathlib import Path
from typing import Final

_DAYS: Final = "365"
_SECONDS: Final = 60.0
_NAMES: Final = "subjectAltName=DNS:localhost,IP:127.0.0.1"


def self_signed(path: Path) -> Path | None:
    """Write a certificate for this machine's loopback and its key; None without a suitable openssl."""
    program = shutil.which("openssl")
    if program is None:
        return None
    key = key_of(path)
    key.unlink(missing_ok=True)
    key.touch(mode=0o600)
    command = [
        program, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
        "-days", _DAYS, "-subj", "/CN=localhost", "-addext", _NAMES, "-keyout", str(key), "-out", str(path),
    ]  # fmt: skip
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=_SECONDS)  # noqa: S603 -- words of ours
    except subprocess.SubprocessError:
        # One that is too old to know these words.
        return None
    return path


def key_of(certificate: Path) -> Path:
    """Return the path of a certificate's key."""
    return certificate.with_suffix(".key")
