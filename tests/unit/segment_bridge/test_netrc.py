import pytest

from headrace.runtime.errors import ConfigurationError
from headrace_services.segment_bridge.netrc import login_for

PLANTED = "planted-secret"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "netrc"


def test_the_machine_is_the_urls_host(path):
    path.write_text(
        f"machine a.example.com\n  login one\n  password {PLANTED}\nmachine b login two password x\n"
    )
    login = login_for("https://a.example.com:8089/services", path)
    assert (login.user, login.password) == ("one", PLANTED)
    assert login.header == "Basic b25lOnBsYW50ZWQtc2VjcmV0"
    assert PLANTED not in repr(login)
    assert "one" not in repr(login)


def test_a_write_key_has_no_password(path):
    path.write_text("machine api.segment.io login writekey\n")
    assert login_for("https://api.segment.io/v1/batch", path).header == "Basic d3JpdGVrZXk6"
    path.write_text('machine api.segment.io login writekey password ""\n')
    assert login_for("https://api.segment.io/v1/batch", path).header == "Basic d3JpdGVrZXk6"


def test_a_default_is_for_every_other_machine(path):
    path.write_text("default login any password x\n")
    assert login_for("http://127.0.0.1:8089", path).user == "any"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("machine other login a password b", "has no login for machine here"),
        ("machine here login a:b password c", "contains a colon"),
        (f"machine here login a {PLANTED}", "is not a netrc file, near line"),
        (b"machine here login \xff", "cannot be read: it is not UTF-8 text"),
    ],
)
def test_what_cannot_be_used_is_told_by_variable_without_secrets(path, text, reason):
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigurationError, match=f"CURL_NETRC: .*{reason}") as refused:
        login_for("http://here", path)
    assert PLANTED not in str(refused.value)
