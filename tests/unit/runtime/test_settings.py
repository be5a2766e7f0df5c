"""How a setting is declared."""

from typing import TypeVar, get_type_hints

from headrace.runtime.settings import env


def test_a_declaration_has_the_type_of_its_default_so_that_the_type_checker_compares_it_with_the_field():
    types = get_type_hints(env)

    assert isinstance(types["return"], TypeVar)
    assert types["return"] is types["default"]
