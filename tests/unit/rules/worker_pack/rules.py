import ctypes
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from insights.core import Parser
from insights.core.context import ExecutionContext, fs_root
from insights.core.plugins import make_fail, make_metadata_key, make_response, parser, rule
from insights.core.spec_factory import RegistryPoint, SpecSet, simple_file

KEPT = []


@fs_root
class BehaviourContext(ExecutionContext):
    marker = "behaviour/bid.txt"


class Specs(SpecSet):
    bid = RegistryPoint()


class FileSpecs(Specs):
    bid = simple_file("behaviour/bid.txt", context=BehaviourContext)


@parser(Specs.bid)
class Bid(Parser):
    def parse_content(self, content):
        self.words = content[0].split()


def spin():
    while True:
        pass


def bloat_slowly(_):
    hoard = []
    while True:
        hoard.append(b"x" * (1 << 16))


def start_a_child_and_hang(path):
    child = subprocess.Popen(["sleep", "60"])
    Path(path).write_text(str(child.pid))
    spin()


def meet(directory):
    """Comes to an end only beside another one."""
    Path(directory, str(os.getpid())).touch()
    while len(list(Path(directory).iterdir())) < 2:
        time.sleep(0.005)


def say_and_fail(text):
    raise ValueError(text)


BIDS: dict[str, Any] = {
    "say": str,
    "recommend": str,
    "hang": lambda _: spin(),
    "sleep": lambda seconds: time.sleep(float(seconds)),
    "meet": meet,
    "exit": lambda code: os._exit(int(code)),
    "sys-exit": sys.exit,
    "segfault": lambda _: ctypes.string_at(0),
    "bloat": lambda size: bytearray(int(size)),
    "bloat-slowly": bloat_slowly,
    "keep": lambda size: KEPT.append(os.urandom(int(size))),
    "fail": say_and_fail,
    "start-a-child-and-hang": start_a_child_and_hang,
}


@rule(Bid)
def report(bid):
    BIDS[bid.words[0]](bid.words[1] if len(bid.words) > 1 else "")
    return make_response("OBEYED", bid=bid.words, pid=os.getpid(), environment=sorted(os.environ))


@rule(Bid)
def beside(bid):
    if bid.words[0] == "say":
        return make_fail("SAID", text=" ".join(bid.words[1:]), byte="\udcff", number=2**70)
    return None


@rule(Bid)
def recommends(bid):
    if bid.words[0] == "recommend":
        return make_metadata_key("workload_recommendations", [{"key": "RECOMMENDED"}])
    return None


@rule()
def version():
    return make_metadata_key("version", 2)
