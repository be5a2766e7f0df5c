"""What the processes of one test run share: one stack, started by whoever needs it first, and turns to use it."""

import fcntl
import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from headrace.laptop import background
from headrace.run_file import read_run
from headrace.runtime.errors import Fatal, Permanent

_START_SECONDS: Final = 900.0
# Another test may use the stack for as long as tests usually may run.
_TURN_SECONDS: Final = 600.0
_POLL_SECONDS: Final = 0.05


class StackNotStarted(Fatal):
    """The stack of the test run could not be started; the text has the reason."""


class Session:
    """One test run, however many processes it has. ``owner`` is the process with which it ends."""

    def __init__(self, directory: Path, owner: int, command: Sequence[str]) -> None:
        """``command`` is how the `headrace` command is called."""
        self._directory = directory
        self._owner = owner
        self._command = command
        self._turn: int | None = None

    def stack(self) -> Path:
        """Return the directory of the run's stack, which is started on the first call of the first process."""
        stack, failed = self._directory / "stack", self._directory / "failed"
        self._directory.mkdir(mode=0o700, exist_ok=True)
        with _locked(self._directory / "start"):
            if failed.exists():
                raise StackNotStarted(failed.read_text(encoding="utf-8"))
            if read_run(stack) is None:
                try:
                    self._start(stack)
                except StackNotStarted as error:
                    failed.write_text(str(error), encoding="utf-8")
                    raise
        return stack

    def _start(self, stack: Path) -> None:
        words = ("up", "--detach", "--directory", str(stack), "--port-base", "0", "--while", str(self._owner))
        done = subprocess.run(  # noqa: S603 -- our own command
            [*self._command, *words],
            cwd=self._directory,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_START_SECONDS,
            check=False,
        )
        if done.returncode != 0:
            raise StackNotStarted((done.stderr or done.stdout).strip() or f"exit code {done.returncode}")

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Use the stack beside other tests, but not beside one that stops an engine."""
        self._directory.mkdir(mode=0o700, exist_ok=True)
        self._turn = os.open(self._directory / "turns", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            with self._gate(fcntl.LOCK_SH):
                _take(self._turn, fcntl.LOCK_SH)
            yield
        finally:
            turn, self._turn = self._turn, None
            os.close(turn)

    def take_alone(self) -> None:
        """Within a `turn`: wait until no other test uses the stack, and let none begin."""
        if self._turn is None:
            return
        # Given up before it is asked for anew: two that want it must not wait for each other.
        fcntl.flock(self._turn, fcntl.LOCK_UN)
        with self._gate(fcntl.LOCK_EX):
            _take(self._turn, fcntl.LOCK_EX)

    def give_back(self) -> None:
        """Let other tests use the stack again."""
        if self._turn is not None:
            fcntl.flock(self._turn, fcntl.LOCK_SH)

    @contextmanager
    def _gate(self, how: int) -> Iterator[None]:
        """Where those who want a turn pass, so that one who waits to be alone is not overtaken for ever."""
        with _locked(self._directory / "gate", how, _TURN_SECONDS):
            yield

    def close(self) -> None:
        """Stop the stack and remove what the run shared."""
        if self._directory.exists():
            background.stop(self._directory / "stack")
            shutil.rmtree(self._directory, ignore_errors=True)


@contextmanager
def _locked(path: Path, how: int = fcntl.LOCK_EX, seconds: float = _START_SECONDS) -> Iterator[None]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        _take(descriptor, how, seconds)
        yield
    finally:
        os.close(descriptor)


def _take(descriptor: int, how: int, seconds: float = _TURN_SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(descriptor, how | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise Permanent(f"other tests have used the stack for more than {seconds:.0f} s") from None
            time.sleep(_POLL_SECONDS)
        else:
            return
