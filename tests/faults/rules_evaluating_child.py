"""Evaluates the files 0, 1, ... of its directory with one set of rules; prints what became of each, and its cost."""

import json
import resource
import sys
from pathlib import Path

from headrace.archives import ArchiveRejected
from headrace.rules.evaluation import Rules, RulesConfig
from tests.faults.archive_reading_child import note_writes, written


def outcome(rules: Rules, archive: bytes) -> str:
    try:
        return f"evaluated: {rules.evaluate(archive).empty_because}"
    except ArchiveRejected as rejected:
        return str(rejected)


def used() -> tuple[float, int]:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    status = Path("/proc/self/status").read_text()
    return usage.ru_utime + usage.ru_stime, int(status.partition("VmHWM:")[2].split()[0])


def main() -> None:
    rules = Rules.load(RulesConfig(("headrace.rule_pack",)))
    sys.addaudithook(note_writes)
    for number in range(int(sys.argv[1])):
        archive = Path(str(number)).read_bytes()
        # Start the kernel's high-water mark anew; the name of the file opened for it is no harm done.
        Path("/proc/self/clear_refs").write_text("5")
        written.clear()
        cpu_before, rss_before = used()
        reason = outcome(rules, archive)
        cpu_after, rss_after = used()
        line = {
            "reason": reason,
            "cpu_seconds": cpu_after - cpu_before,
            "extra_rss_mib": (rss_after - rss_before) / 1024,
            "written": written,
        }
        print(json.dumps(line))


if __name__ == "__main__":
    main()
