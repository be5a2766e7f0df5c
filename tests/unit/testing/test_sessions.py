"""What the processes of one test run share."""

import json
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from headrace.run_file import read_run
from headrace.testing import Session, StackNotStarted

# Stands in for `headrace up --detach`: notes the call, then leaves a process that a run.json names.
UP = """
import json, subprocess, sys, pathlib, psutil
words = sys.argv[1:]
stack = pathlib.Path(words[words.index("--directory") + 1])
stack.mkdir(exist_ok=True)
with (stack / "calls").open("a") as calls:
    calls.write(json.dumps(words) + "\\n")
child = subprocess.Popen(["sleep", "60"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
state = {"pid": child.pid, "started": psutil.Process(child.pid).create_time(), "engines": []}
(stack / "run.json").write_text(json.dumps(state))
"""
FAILS = """
import sys, pathlib
with open("calls", "a") as calls:
    calls.write("one\\n")
sys.exit("headrace: no room")
"""


@pytest.fixture
def session(tmp_path):
    made = []

    def make(program=UP):
        made.append(Session(tmp_path / "run", os.getpid(), (sys.executable, "-c", program)))
        return made[-1]

    yield make
    for each in made:
        each.close()


def test_the_first_who_needs_the_stack_starts_it_for_all(session):
    sessions = [session() for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        found = set(pool.map(lambda each: each.stack(), sessions))
    (stack,) = found
    (call,) = map(json.loads, (stack / "calls").read_text().splitlines())
    assert call == [
        "up",
        "--detach",
        "--directory",
        str(stack),
        "--port-base",
        "0",
        "--while",
        str(os.getpid()),
    ]


def test_the_end_of_the_run_ends_its_stack_and_leaves_nothing(session, tmp_path):
    ends = session()
    pid = read_run(ends.stack())["pid"]
    # Its parent has ended; nobody here reaps it.
    ends.close()
    assert not (tmp_path / "run").exists()
    shown = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
    assert shown.stdout.strip()[:1] in {"", "Z"}


def test_a_stack_that_does_not_start_is_tried_once_and_all_are_told_why(session, tmp_path):
    for each in (session(FAILS), session(FAILS)):
        with pytest.raises(StackNotStarted, match=r"^headrace: no room$"):
            each.stack()
    assert (tmp_path / "run" / "calls").read_text() == "one\n"


def test_who_stops_an_engine_is_alone_and_is_not_overtaken(session):
    alone, other, late = session(), session(), session()
    seen, took = [], threading.Event()

    def stops_an_engine():
        with alone.turn():
            took.set()
            alone.take_alone()
            seen.append("alone")
            time.sleep(0.2)
            seen.append("given back")
            alone.give_back()

    def comes_late():
        with late.turn():
            seen.append("late")

    with other.turn():
        threads = [threading.Thread(target=stops_an_engine)]
        threads[0].start()
        took.wait(10)
        # Until it waits at the gate, one who comes may still pass.
        time.sleep(0.3)
        threads.append(threading.Thread(target=comes_late))
        threads[1].start()
        time.sleep(0.3)
        assert seen == []
        seen.append("the other is done")
    for thread in threads:
        thread.join(20)
    assert seen == ["the other is done", "alone", "given back", "late"]


def test_two_who_want_to_be_alone_do_not_wait_for_each_other(session):
    both = threading.Barrier(2)

    def alone(each):
        with each.turn():
            both.wait(10)
            each.take_alone()
            each.give_back()
        return True

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(alone, (session(), session()))) == [True, True]
