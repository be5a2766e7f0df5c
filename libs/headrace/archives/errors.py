from headrace.runtime.errors import Rejected

_SHOWN_CHARACTERS = 80


class ArchiveRejected(Rejected):
    """The archive is not acceptable; the text names what was wrong and where."""


def shown(name: str | bytes) -> str:
    """Return an untrusted name fit for a log line: quoted, escaped to ASCII and shortened."""
    text = name.decode("utf-8", "backslashreplace") if isinstance(name, bytes) else name
    return ascii(text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}...")
