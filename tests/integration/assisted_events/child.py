"""The sender as a process of its own, which a test may kill, on a database of the test's."""

import sys
from dataclasses import replace

import uvloop

from headrace.runtime.logging import configure
from headrace.runtime.settings import EngineSettings, ProcessSettings, load
from headrace.service.process import serve
from headrace_services.registry import BY_NAME

if __name__ == "__main__":
    database, port, admin_port = sys.argv[1:]
    row = replace(BY_NAME["assisted_events"], port=int(port), port_variable="", database=database)
    configure("INFO", "json")
    uvloop.run(serve([row], load(EngineSettings), load(ProcessSettings, admin_port=int(admin_port))))
