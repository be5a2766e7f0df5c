import pytest

from headrace_services.ingress import metrics
from headrace_services.ingress.callers import OPERATORS
from headrace_services.ingress.metrics import user_agent_label


@pytest.fixture(autouse=True)
def none_seen_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics._clients, "_seen", set())


@pytest.mark.parametrize(
    ("user_agent", "label"),
    [
        ("insights-operator/one10time-abc cluster/x", "insights-operator"),
        ("openshift-lightspeed-operator/user-data-collection cluster/x", "openshift-lightspeed-operator"),
        ("insights-client/3.2.1 Core 3.4.5 (x86)", "insights-client/3.2.1 Core 3.4.5"),
        ("python insights-client/3.2.1 (x86)", "insights-client/3.2.1"),
        ("redhat-access-insights/1.0.8", "redhat-access-insights/1.0.8"),
        ("made-up-operator/1", "other"),
        ("curl/8.0", "other"),
        ("", "other"),
    ],
)
def test_known_clients_have_a_label_of_their_own_and_all_others_share_one(user_agent: str, label: str):
    assert user_agent_label(user_agent, OPERATORS) == label


def test_made_up_versions_have_few_labels():
    labels = {user_agent_label(f"insights-client/{n}.{n}.{n} Core {n}", OPERATORS) for n in range(20_000)}
    assert len(labels) <= 51
    assert "other" in labels


def test_a_label_is_short_whatever_is_sent():
    assert len(user_agent_label("insights-client/" + "1" * 5000 + " Core " + "2" * 5000, OPERATORS)) < 80
