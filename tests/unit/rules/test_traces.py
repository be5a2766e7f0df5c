import faulthandler
import tempfile

from headrace.rules.workers.traces import place_of


def test_the_innermost_frame_is_named():
    with tempfile.TemporaryFile() as file:
        faulthandler.dump_traceback(file, all_threads=False)
        file.seek(0)
        place = place_of(file.read().decode())
    assert place.startswith("unit/rules/test_traces.py:")
    assert place.endswith(" in test_the_innermost_frame_is_named")


def test_the_component_is_named_beside_what_it_calls():
    trace = (
        "Fatal Python error: Segmentation fault\n\nCurrent thread 0x0001 (most recent call first):\n"
        '  File "/lib/python3/re/__init__.py", line 1 in match\n'
        '  File "/site/acme/rules/slow.py", line 12 in report\n'
        '  File "/site/insights/core/dr.py", line 3 in invoke\n'
        '  File "/site/libs/headrace/rules/evaluation/execution.py", line 4 in _run\n'
    )
    assert place_of(trace) == "python3/re/__init__.py:1 in match, called by acme/rules/slow.py:12 in report"


def test_without_a_frame_there_is_no_place():
    assert place_of("") == place_of("Fatal Python error: Segmentation fault\n") == ""
