import time
from collections.abc import Iterator

import pytest

from tests.composed import composed
from tests.containers.engine import COMPOSE, ENGINE, HEALTHY_SECONDS, Stack, command, said, why_not

STARTED = pytest.StashKey[float]()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    ours = [item for item in items if "tests/containers/" in str(item.path)]
    if ours and (reason := why_not()):
        for item in ours:
            item.add_marker(pytest.mark.skip(reason=reason))
    for item in ours:
        item.add_marker(pytest.mark.timeout(900))
    # A stack is seen whole first: how soon it was healthy, and that nothing was restarted.
    items.sort(key=lambda item: item.path.name == "test_killing.py")


@pytest.fixture(scope="session")
def stack(request: pytest.FixtureRequest) -> Iterator[Stack]:
    """Up for the session; `down -v` has to leave nothing."""
    there = said(ENGINE, "ps", "-a", "--format", "{{.Names}}").split()
    stack = Stack()
    if taken := sorted(set(there) & set(stack.names)):
        pytest.fail(f"a stack is there already (podman-compose down -v ends it): {taken}")
    began = time.monotonic()
    try:
        started = command(*COMPOSE, "up", "-d")
        assert started.returncode == 0, started.stderr
        request.config.stash[STARTED] = began
        assert len(left_over()) > len(stack.names), "what is left could not be seen"
        yield stack
    finally:
        down = command(*COMPOSE, "down", "-v")
    assert down.returncode == 0, down.stderr
    assert left_over() == [], "down -v leaves something"


def left_over() -> list[str]:
    """Everything of this project that the engine still has, beside images; others may run beside it."""
    lists = (
        ("ps", "-a", "--format", "container {{.Names}}"),
        ("volume", "ls", "--format", "volume {{.Name}}"),
        ("network", "ls", "--format", "network {{.Name}}"),
    )
    ours = ("--filter", f"label=com.docker.compose.project={composed()['name']}")
    return [line for words in lists for line in said(ENGINE, *words, *ours).splitlines()]


@pytest.fixture(scope="session")
def healthy(stack: Stack) -> Stack:
    """The stack, each container seen to be healthy once: asking all of them takes seconds."""
    deadline = time.monotonic() + HEALTHY_SECONDS
    while left := stack.unhealthy():
        assert time.monotonic() < deadline, f"not healthy: {left}"
        time.sleep(0.5)
    return stack
