"""The pull secret's file: what it says in one of two readings only is no consent."""

from pathlib import Path

import pytest

from headrace_services.ols_collector.credentials import NoCredentials, _auth_of_file

ENTRY = '"cloud.openshift.com": {"auth": "dXNlcjpwYXNz"}'


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (f'{{"auths": {{}}, "auths": {{{ENTRY}}}}}', "names a key twice"),
        (f'{{"auths": {{"cloud.openshift.com": {{}}, {ENTRY}}}}}', "names a key twice"),
        (f"{{{ENTRY}}}", "no auths/cloud.openshift.com/auth"),
        (f'\ufeff{{"auths": {{{ENTRY}}}}}', "no auths/cloud.openshift.com/auth"),
        ("[" * 100_000, "no auths/cloud.openshift.com/auth"),
    ],
)
def test_a_pull_secret_that_names_its_entry_twice_or_elsewhere_sends_nothing(
    text: str, reason: str, tmp_path: Path
):
    file = tmp_path / "secret"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(NoCredentials, match=reason):
        _auth_of_file(str(file))
    file.write_text(f'{{"auths": {{{ENTRY}}}}}', encoding="utf-8")
    assert _auth_of_file(str(file)) == "dXNlcjpwYXNz"
