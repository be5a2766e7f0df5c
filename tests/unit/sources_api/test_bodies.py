import pytest

from headrace_services.sources_api.bodies import SourceCreate, parsed
from headrace_services.sources_api.refusals import Unfit


@pytest.mark.parametrize("written", ["7", '"7"', '"007"', "7.0", "70e-1"])
def test_an_id_is_a_number_however_it_is_written(written: str) -> None:
    body = parsed(SourceCreate, f'{{"name": "a", "source_type_id": {written}}}'.encode())
    assert body.source_type_id == 7


@pytest.mark.parametrize("written", ["7.5", '"7.0"', "1e300", "true", "-7.0", "0.0"])
def test_what_names_no_row_is_no_id(written: str) -> None:
    with pytest.raises(Unfit, match="source_type_id: "):
        parsed(SourceCreate, f'{{"name": "a", "source_type_id": {written}}}'.encode())
