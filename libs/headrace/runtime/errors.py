"""The exception tree. The class answers a caller's one question, what to do now.

HeadraceError
├── Retryable            an engine is away or busy: the same call may succeed later
├── Permanent            trying again cannot help
│   ├── Poison           the message itself is bad: dead-letter it
│   └── Rejected         the payload is unacceptable: report it with its reason, then go on
└── Fatal                the process cannot do its work: stop with a clear line
    └── ConfigurationError
"""


class HeadraceError(Exception):
    """The base of all exceptions that this project raises on purpose."""


class Retryable(HeadraceError):
    """An engine is away or busy; the effect may or may not have happened.

    ``retry_after_seconds`` is the delay that it requests, 0 if it requests none.
    """

    def __init__(self, *args: object, retry_after_seconds: float = 0.0) -> None:
        super().__init__(*args)
        self.retry_after_seconds = retry_after_seconds


class Permanent(HeadraceError):
    """Repeating the work cannot help."""


class Poison(Permanent):
    """The message cannot be handled by any version of this service; it goes to the dead-letter topic."""


class Rejected(Permanent):
    """The payload is not acceptable; the text is the reason that the sender reads in the tracker."""


class Fatal(HeadraceError):
    """The process cannot continue."""


class ConfigurationError(Fatal):
    """A setting is missing or wrong; the text names the variable, what was given and what is expected."""
