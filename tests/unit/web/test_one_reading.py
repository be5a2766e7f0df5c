"""Every reader of identities, asked about the same odd ones: none finds another organisation in them than the rest."""

import base64
from collections.abc import Callable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, Final

import pytest
from aiohttp import web
from multidict import CIMultiDict, CIMultiDictProxy

from headrace.bus.delivery import Delivery
from headrace.contracts.announcement import Announcement, UnjudgedAnnouncement
from headrace.contracts.identity import IdentityError
from headrace.objects.fetch import sender_of
from headrace.runtime.errors import Poison, Rejected
from headrace.web.errors import Refusal
from headrace_services.archiver.api import Api as ArchiverApi
from headrace_services.archiver.settings import ArchiverSettings
from headrace_services.ingress.callers import BadCredentials, Identities
from headrace_services.koku.payload import Sender
from headrace_services.results_aggregator.callers import identify as identify_for_the_aggregator
from headrace_services.ros_api.callers import identify as identify_for_ros
from headrace_services.rules_engine.messages import upload_of
from headrace_services.sources_api.callers import Gate
from tests.identities import HEADER, encoded, headers, identity, odd, user

ORG: Final = "1001"
OTHER: Final = "2002"
REFUSALS: Final = (
    IdentityError, BadCredentials, Refusal, Rejected, Poison
)  # fmt: skip

Headers = CIMultiDict[str]
Reader = Callable[[Headers], str]


def request(sent: Headers) -> web.Request:
    return SimpleNamespace(headers=CIMultiDictProxy(sent), method="GET", path="/")  # type: ignore[return-value]


def ingress(sent: Headers) -> str:
    identities = Identities(required=True, lenient=True, tokens={}, default_org_id="")
    return identities.sender(sent).identity.org_id


def ros_api(sent: Headers) -> str:
    return identify_for_ros(CIMultiDictProxy(sent), "").org_id


def results_aggregator(sent: Headers) -> str:
    return str(identify_for_the_aggregator(CIMultiDictProxy(sent), lenient=False))


def sources_api(sent: Headers) -> str:
    gate = Gate(psks=("key",), open=False, default_org_id="")
    return gate.caller(request(sent)).org_id


def archiver(sent: Headers) -> str:
    api = ArchiverApi(table=Any, stores={}, settings=ArchiverSettings())  # type: ignore[arg-type]
    found = api._identity(request(sent))
    assert found is not None
    return found.org_id


def announced(sent: Headers) -> Announcement:
    """As an ingress that checks nothing passes it on."""
    values = sent.getall(HEADER)
    if len(values) > 1 or not values[0].isascii():
        raise IdentityError("an ingress refuses it")
    return Announcement(
        request_id="r", url="http://s3/b/k", b64_identity=values[0], timestamp="2026-11-21T21:28:22Z"
    )


def archivers_consumer(sent: Headers) -> str:
    return sender_of(announced(sent)).org_id


def koku(sent: Headers) -> str:
    delivery: Delivery = SimpleNamespace(timestamp=datetime.now(UTC))  # type: ignore[assignment]
    message = announced(sent)
    return Sender.of(message.model_copy(update={"org_id": OTHER}), delivery).identity.org_id


def rules_engine(sent: Headers) -> str:
    return str(upload_of(UnjudgedAnnouncement.from_json(announced(sent).to_json())).org_id)


READERS: Final[tuple[Reader, ...]] = (
    ingress, ros_api, results_aggregator, sources_api, archiver, archivers_consumer, koku, rules_engine
)  # fmt: skip
names = pytest.mark.parametrize("read", READERS, ids=lambda read: read.__name__)


@names
@pytest.mark.parametrize("what", odd(ORG, OTHER))
def test_no_odd_identity_is_another_organisations(read: Reader, what: str):
    try:
        found = read(odd(ORG, OTHER)[what])
    except REFUSALS:
        return
    assert found != ORG


@names
@pytest.mark.parametrize("what", [name for name in odd(ORG, OTHER) if "differ" in name or "twice" in name])
def test_an_identity_that_says_two_things_is_refused_by_everybody(read: Reader, what: str):
    with pytest.raises(REFUSALS):
        read(odd(ORG, OTHER)[what])


@names
@pytest.mark.parametrize("org_id", [OTHER, "1", "4294967295"])
def test_a_plain_identity_is_read_alike_by_everybody(read: Reader, org_id: str):
    sent = headers(user(org_id, account_number="0007"))
    if read is koku and org_id != OTHER:
        with pytest.raises(Rejected, match="differ"):
            read(sent)
    else:
        assert read(sent) == org_id


@names
def test_a_deep_and_long_identity_is_read_by_everybody(read: Reader):
    assert read(headers(user(OTHER, entitlements={"x": ["y" * 10_000]}))) == OTHER


def test_an_announcement_that_contradicts_its_identity_is_nobodys():
    message = Announcement(request_id="r", url="http://s3/b/k", b64_identity=user(OTHER), org_id=ORG)
    with pytest.raises(Rejected, match="more than one org_id"):
        sender_of(message)
    message = Announcement(
        request_id="r", url="http://s3/b/k", account="1", b64_identity=user(OTHER, account_number="2")
    )
    with pytest.raises(Rejected, match="more than one account_number"):
        sender_of(message)


def test_what_an_ingress_without_checks_passed_on_leaves_the_announcements_own_word():
    for text in ("", "no base64", encoded("[]"), "e" * 16_000, identity(type="User")):
        message = Announcement(
            request_id="r", url="http://s3/b/k", b64_identity=text, org_id=ORG, account="7"
        )
        sender = message.sender()
        assert (sender.org_id, sender.account_number, sender.cluster_id) == (ORG, "7", "")


def test_a_token_that_is_no_text_is_refused_and_not_a_fault_of_ours():
    identities = Identities(required=True, lenient=True, tokens={}, default_org_id="1")
    for sent in (
        [("Authorization", "Bearer \udcff")],
        [("Authorization", "Bearer é")],
        [("Authorization", "Bearer a"), ("Authorization", "Bearer b")],
    ):
        agent = ("User-Agent", "insights-operator/1 cluster/11111111-2222-4333-8444-555555555555")
        with pytest.raises(BadCredentials, match="Invalid authorization header"):
            identities.sender(CIMultiDict([*sent, agent]))


def test_upstreams_aggregator_reads_the_other_alphabet_of_base64_too():
    text = base64.urlsafe_b64encode(b'{"identity":{"org_id":"2002","user":{"user_id":"\xc3\xbf\xc3\xbf"}}}')
    assert results_aggregator(headers(text.decode().rstrip("="))) == OTHER
