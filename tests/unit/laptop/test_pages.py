from headrace.laptop.pages import console_of, payload_page


def test_a_payloads_page_is_named_whatever_its_id():
    assert payload_page("http://h:1", "a/b?c", "7 8") == "http://h:1/console/payloads/a%2Fb%3Fc?org=7+8"
    assert payload_page("http://h:1", "a") == "http://h:1/console/payloads/a"


def test_without_a_console_there_is_no_page(tmp_path):
    assert console_of(tmp_path) == ""
    assert payload_page("", "a") == ""
