import re

from headrace_services.results_aggregator.parameters import PARAMETERS
from tests.integration.results_aggregator_rest.harness import document, endpoints


def test_every_part_of_a_path_is_read_and_described():
    named = {name for path in document()["paths"] for name in re.findall(r"{(\w+)}", path)}
    assert named == set(PARAMETERS)


def test_operations_are_named_once_and_debugging_ones_left_out_without_debug():
    names = [endpoint.operation for endpoint in endpoints()]
    assert len(set(names)) == len(names)
    quiet = document(debug=False)["paths"]
    assert not any("delete" in item for item in quiet.values())
    assert "/organizations" not in quiet
