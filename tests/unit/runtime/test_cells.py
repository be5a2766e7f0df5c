import pytest

from headrace.runtime.cells import cell


@pytest.mark.parametrize(
    "text",
    [
        "=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx", "\nx", " =1", "  =1", "'=1", '"=1', ' "=1', "\u00a0=1",
        "\u3000=1", "\uff1d1", "\uff0b1", "\uff0d1", "\uff201", '=HYPERLINK("http://evil")', "-2+3+cmd|' /C calc'!A0",
        "''=1", "\ufeff=1", "\u200b=1", "\0=1", "\x1b=1", "\u2060\u00ad+1", "\ufe661", "\ufe621", "\ufe6b1",
        "\u22121", "\u3164=1", "\x85=1",
    ],
)  # fmt: skip
def test_what_might_be_a_formula_begins_with_an_apostrophe(text: str):
    assert cell(text) == f"'{text}"


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "app",
        "a=b",
        "quay.io/shop/app:1",
        "é",
        "1",
        "1-2",
        "'quoted'",
        "<none>",
        "a\tb",
        "a;b",
        "a;b=c",
        "a\nb",
        "a,=b",
    ],
)
def test_other_texts_stay(text: str):
    assert cell(text) == text


@pytest.mark.parametrize("separator", [";", "\t", "\n", "\r"])
def test_what_other_countries_programs_take_for_a_cells_beginning_is_no_formula(separator: str):
    assert cell(f"{separator}=1").removeprefix("'") == f"{separator}'=1"
    assert cell(f"a{separator}=1{separator} -1") == f"a{separator}'=1{separator}' -1"
