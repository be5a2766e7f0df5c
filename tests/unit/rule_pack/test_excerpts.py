"""Parsers make objects of what is read alone; no rule may tell the difference."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from insights.core.exceptions import ContentException

from headrace.rules.parsers.documents import JsonFile
from headrace.rules.parsers.pods import Pod
from tests.unit.rule_pack.archives import packed, pod, rules
from tests.unit.rule_pack.samples import HITS, PASSES
from tests.unit.rule_pack.test_hostile import DOCUMENTS, damaged, few


@pytest.fixture(name="pack", scope="module")
def _pack():
    return rules()


class File:
    relative_path = "config/pod/openshift-dns/a.json"
    path = f"/nonexistent/{relative_path}"

    def __init__(self, content):
        self.content = content


def kinds_of(kind):
    yield kind
    for inner in kind.__subclasses__():
        yield from kinds_of(inner)


def report_of(pack, files):
    evaluation = pack.evaluate(packed(files))
    return {key: value for key, value in evaluation.report.items() if key != "analysis_metadata"}


def whole_report_of(pack, files):
    with pytest.MonkeyPatch.context() as patch:
        for kind in kinds_of(JsonFile):
            patch.setattr(kind, "_decoder", msgspec.json.Decoder())
        return report_of(pack, files)


@pytest.mark.parametrize("files", [files for _, files, *_ in (*HITS, *PASSES)])
def test_a_sample_gives_the_report_that_it_gives_when_all_is_read(pack, files):
    assert report_of(pack, files) == whole_report_of(pack, files)


@given(data=st.data())
@few
def test_damaged_documents_give_the_report_that_they_give_when_all_is_read(pack, data):
    files = {path: data.draw(damaged(content)) for path, content in DOCUMENTS.items()}
    assert report_of(pack, files) == whole_report_of(pack, files)


def test_what_nobody_reads_is_passed_over_until_the_whole_is_asked_for():
    document = pod("a", restarts=3)
    document["metadata"]["managedFields"] = [{"manager": "kubelet"}]
    parsed = Pod(File(json.dumps(document).encode()))
    assert set(parsed.excerpt["metadata"]) == {"name", "namespace"}
    assert parsed.data == document


def test_an_object_of_which_a_part_has_another_type_is_read_whole():
    document = pod("a")
    document["status"]["containerStatuses"].append("none")
    parsed = Pod(File(json.dumps(document).encode()))
    assert parsed.excerpt == document
    assert parsed.images == ["quay.io/x/y@sha256:00"]


def test_what_was_passed_over_may_turn_out_to_be_no_text():
    document = json.dumps(pod("a")).encode()[:-1] + b', "extra": "\xff"}'
    parsed = Pod(File(document))
    assert parsed.name == "a"
    with pytest.raises(ContentException, match=r"/config/pod/openshift-dns/a\.json is not JSON"):
        _ = parsed.data


def test_paths_are_told_as_of_other_parsers():
    parsed = Pod(File(json.dumps(pod("a")).encode()))
    assert (parsed.file_path, parsed.file_name, parsed.last_client_run, parsed.args) == (
        f"/{File.relative_path}",
        "a.json",
        None,
        None,
    )
