"""Who sent an upload and which cluster it names: one reading for every service that takes announcements."""

from typing import Any

import pytest

from headrace.contracts.announcement import Announcement, agreed, named_cluster
from headrace.contracts.clusters import local_cluster_id
from headrace.contracts.identity import Contradiction, Identity, System
from headrace.objects.fetch import sender_of
from headrace.runtime.errors import Rejected

OF_CLUSTER = Identity(org_id="1", system=System(cluster_id="of-the-identity"))
NAMELESS = Identity(org_id="1")
CUSTOM = {"cluster_id": "of-the-metadata"}


@pytest.mark.parametrize(
    ("identity", "cluster_name", "custom", "expected"),
    [
        (OF_CLUSTER, "of-the-message", CUSTOM, ("of-the-message", "the message's cluster_name")),
        (OF_CLUSTER, "", CUSTOM, ("of-the-identity", "the identity")),
        (OF_CLUSTER, None, None, ("of-the-identity", "the identity")),
        (NAMELESS, None, CUSTOM, ("of-the-metadata", "the custom metadata")),
        (NAMELESS, 5, None, ("5", "the message's cluster_name")),
        (NAMELESS, None, {}, None),
        (NAMELESS, None, None, None),
    ],
)
def test_the_message_goes_before_the_identity_and_that_before_metadata(
    identity, cluster_name, custom, expected
):
    assert named_cluster(identity, cluster_name=cluster_name, custom_metadata=custom) == expected


def test_a_field_fills_in_what_the_identity_leaves_out():
    assert agreed(Identity(), org_id="1", account="2").org_id == "1"
    found = agreed(Identity(org_id="1", account_number="2"), org_id="", account="")
    assert (found.org_id, found.account_number) == ("1", "2")


@pytest.mark.parametrize("beside", [{"org_id": "9"}, {"org_id": "1", "account": "9"}])
def test_fields_that_differ_from_the_identity_are_a_contradiction(beside):
    with pytest.raises(Contradiction):
        agreed(Identity(org_id="1", account_number="2"), **beside)


def test_an_announcement_of_two_organisations_is_rejected():
    identity = "eyJpZGVudGl0eSI6IHsib3JnX2lkIjogIjEiLCAidHlwZSI6ICJVc2VyIn19"  # organisation 1
    message = Announcement(request_id="r", url="http://x/", org_id="2", b64_identity=identity)
    with pytest.raises(Rejected, match="the organisation of the upload is unknown"):
        sender_of(message)


def test_a_cluster_name_is_read_from_the_field_that_upstream_lacks():
    text = b'{"request_id": "r", "url": "http://x/", "cluster_name": "c"}'
    assert Announcement.from_json(text).cluster_name == "c"
    assert Announcement(request_id="r", url="http://x/").cluster_name is None


def test_local_clusters_differ_by_the_kind_of_upload():
    kinds: tuple[Any, ...] = ("bare-csv", "an-archive-that-names-none")
    assert len({local_cluster_id(org_id, of=kind) for org_id in "12" for kind in kinds}) == 4
