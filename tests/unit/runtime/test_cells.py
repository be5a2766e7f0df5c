import pytest

from headrace.runtime.cells import cell


@pytest.mark.parametrize(
    "text",
    [
        "=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx", "\nx", "\t=1", " =1", "  =1", "'=1", '"=1', ' "=1', "\u00a0=1",
        "\u3000=1", "\uff1d1", "\uff0b1", "\uff0d1", "\uff201", '=HYPERLINK("http://evil")', "-2+3+cmd|' /C calc'!A0",
        '"\t=1', "''=1",
    ],
)  # fmt: skip
def test_what_might_be_a_formula_begins_with_an_apostrophe(text: str):
    assert cell(text) == f"'{text}"


@pytest.mark.parametrize(
    "text",
    ["", " ", "app", "a=b", "quay.io/shop/app:1", "é", "1", "1-2", "'quoted'", "<none>", "a\tb", "a\n=b"],
)
def test_other_texts_stay(text: str):
    assert cell(text) == text
