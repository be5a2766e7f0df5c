"""Two organisations' data, put in place as their clusters and users do it; each datum has a text nobody else has."""

import asyncio
import hashlib
import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from headrace.bus.producer import Producer
from headrace.contracts.topics import DVO_RESULTS, OCP_RESULTS
from headrace.laptop.ingress_client import IngressClient
from headrace.laptop.uploads import Upload
from headrace.runtime.settings import EngineSettings
from headrace.samples import KINDS, SampleOptions
from tests import identities
from tests.integration.web.conftest import Everything
from tests.waiting import eventually

RULE_KEY = "KEY"
SOURCES = "/api/sources/v3.1"
ASSISTED = "/api/assisted-events/v1"
OPENSHIFT = "/api/cost-management/v1/recommendations/openshift"
ROS = "/api/ros/v1"
# Who may ask assisted_events: the installation's operator, who is the first organisation's here.
OPERATOR = "the-operators-token"
COST = "/insights/platform/cost-management"
SHARED_KEY = "the-services-key"
SIMULATED_AUTH = "amRvZTpzaW11bGF0ZWQ="


@dataclass
class Organisation:
    """``known`` has by parameter what is this organisation's; ``secrets`` the texts that only it may see."""

    org_id: str
    seed: int
    account: str
    cluster: str = ""
    bearer: str = ""
    secrets: set[str] = field(default_factory=set)
    known: dict[str, list[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.cluster, self.bearer = self.secret_uuid(), f"bearer-of-{self.org_id}"
        self.user, self.namespace = self.secret("user"), self.secret_uuid()
        self.rule = f"pack.rules.{self.secret('rule')}"
        self.requests = {kind: self.secret(f"request-{kind}") for kind in ("ols", "openshift", "hccm")}
        requests = list(self.requests.values())
        self.known = {name: [self.org_id] for name in ("org_id", "organization", "organizations")}
        self.known |= {name: [self.cluster] for name in ("cluster", "cluster_id", "clusters", "cluster_list")}
        self.known |= {
            "user_id": [self.user], "rule_id": [f"{self.rule}.report"], "error_key": [RULE_KEY],
            "rule_selector": [f"{self.rule}|{RULE_KEY}"], "rule": [f"{self.rule}|{RULE_KEY}"],
            "namespace": [self.namespace], "account": [self.account],
            "request_id": requests, "requestID": requests, "id": [], "recommendation_id": [], "conversation_id": [],
            "start_date": ["2026-07-01"],
        }  # fmt: skip

    def secret(self, what: str) -> str:
        """A text of this organisation's."""
        made = f"{what}_{uuid.uuid4().hex}" if "rule" in what else f"{what}-{uuid.uuid4().hex}"
        self.secrets.add(made)
        return made

    def secret_uuid(self) -> str:
        made = str(uuid.uuid4())
        self.secrets.add(made)
        return made

    @property
    def identity(self) -> dict[str, str]:
        user = {"username": f"name-{self.org_id}", "user_id": self.user, "is_org_admin": True}
        return {identities.HEADER: identities.user(self.org_id, account_number=self.account, user=user)}

    def system(self, cluster: str) -> dict[str, str]:
        """A cluster's, as this organisation says."""
        fields = {
            "org_id": self.org_id, "account_number": self.account, "type": "System",
            "internal": {"org_id": self.org_id}, "system": {"cn": cluster, "cluster_id": cluster},
        }  # fmt: skip
        return {identities.HEADER: identities.identity(**fields)}

    def credentials(self, service: str) -> dict[str, str]:
        """What it sends to a service."""
        if service == "ols":
            return {"Authorization": f"Bearer {self.bearer}"}
        if service == "assisted_events" and self.seed == 1:
            return {"Authorization": f"Bearer {OPERATOR}"}
        return self.identity


def environment(organisations: list[Organisation]) -> dict[str, str]:
    """Who may ask services that know callers by tokens."""

    def digest(token: str) -> str:
        return hashlib.sha256(token.encode()).hexdigest()

    first = organisations[0]
    return {
        "OLS_TOKENS": json.dumps({digest(one.bearer): one.user for one in organisations}),
        "ASSISTED_EVENTS_TOKEN": OPERATOR,
        "INGRESS_TOKENS": json.dumps(
            {digest(SIMULATED_AUTH): {"org_id": first.org_id, "account_number": first.account}}
        ),
        "SOURCES_PSKS": SHARED_KEY,
        "SOURCES_PSK": SHARED_KEY,
        "KIBANA_URL": "http://kibana.example",
        # With the routes that delete.
        "INSIGHTS_RESULTS_AGGREGATOR__SERVER__DEBUG": "true",
    }


@dataclass
class Furnisher:
    """Puts one organisation's data in place."""

    everything: Everything
    engines: EngineSettings
    directory: Path
    one: Organisation

    async def all(self) -> None:
        await self.sources()
        await asyncio.gather(self.uploads(), self.results(), self.light_speed(), self.installation())
        await self.decisions()
        await asyncio.gather(self.tracked(), self.archived(), self.recommended())

    async def ask(
        self, service: str, method: str, path: str, body: Any = None, *, headers: dict[str, str] | None = None
    ) -> Any:
        """The answer of a request that has to succeed."""
        async with self.everything.session.request(
            method,
            self.everything.urls[service] + path,
            json=body,
            headers=headers or self.one.credentials(service),
        ) as response:
            text = await response.text()
            assert response.status < 300, (service, method, path, response.status, text)
            return json.loads(text) if text.startswith(("{", "[")) else text

    async def there(self, service: str, path: str, seen: Callable[..., bool]) -> Any:
        """The answer, once it is as wanted."""

        async def look() -> Any:
            answer = await self.ask(service, "GET", path)
            assert seen(answer), str(answer)[:2000]
            return answer

        return await eventually(look, within_seconds=150, every_seconds=0.3, describe=f"{service} {path}")

    async def uploads(self) -> None:
        client = IngressClient(self.everything.session, self.everything.urls["ingress"])
        options = SampleOptions(
            seed=self.one.seed, cluster_id=self.one.cluster, org_id=self.one.org_id, workloads=2
        )
        for kind in ("ols", "insights", "cost"):
            sample = KINDS[kind]
            (path, *_) = await asyncio.to_thread(sample.generate, self.directory / kind, options)
            await client.send(
                Upload(
                    path=path,
                    content_type=sample.content_type,
                    headers=self.one.system(self.one.cluster),
                    request_id=self.one.requests[sample.service],
                )
            )

    async def sources(self) -> None:
        one = self.one
        name, host = one.secret("source"), f"{one.secret('host')}.example"
        made = await self.ask(
            "sources_api",
            "POST",
            f"{SOURCES}/bulk_create",
            {
                "sources": [{"name": name, "source_type_name": "openshift", "source_ref": one.cluster}],
                "applications": [
                    {
                        "application_type_name": COST,
                        "source_name": name,
                        "extra": {"note": one.secret("extra")},
                    }
                ],
                "endpoints": [{"source_name": name, "host": host, "role": "kubernetes", "default": True}],
                "authentications": [
                    {"resource_type": kind, "resource_name": of}
                    | {item: one.secret(item) for item in ("name", "username", "password")}
                    for kind, of in (("source", name), ("application", COST), ("endpoint", host))
                ],
            },
        )
        one.secrets.add(made["sources"][0]["uid"])
        one.known["id"] = [str(row["id"]) for rows in made.values() for row in rows or ()]
        assert len(one.known["id"]) == 6, made
        # Those of the catalogue, below which its rows are listed too.
        types = made["sources"][0]["source_type_id"], made["applications"][0]["application_type_id"]
        one.known["id"] += [str(row_id) for row_id in types]
        one.known |= {"source_type_id": [str(types[0])], "application_type_id": [str(types[1])]}

    async def results(self) -> None:
        """As the rules engine publishes them."""
        one, now = self.one, datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        said = {
            "OrgID": int(one.org_id), "AccountNumber": int(one.account), "ClusterName": one.cluster, "LastChecked": now,
            "Version": 2, "RequestId": one.requests["openshift"],
        }  # fmt: skip
        hit = {
            "rule_id": f"{one.rule}|{RULE_KEY}", "component": f"{one.rule}.report", "type": "rule", "key": RULE_KEY,
            "details": {"type": "rule", "error_key": RULE_KEY, "found": one.secret("details")}, "tags": [], "links": {},
        }  # fmt: skip
        workload = {
            "kind": "Pod", "namespace": one.secret("namespace"), "namespace_uid": one.namespace,
            "name": one.secret("pod"), "uid": one.secret_uuid(),
        }  # fmt: skip
        advice = {
            "response_id": f"{one.rule}|{RULE_KEY}", "component": f"{one.rule}.recommendation", "key": RULE_KEY,
            "details": {"found": one.secret("dvo")}, "workloads": [workload],
        }  # fmt: skip
        info = {
            "info_id": "version_info|CLUSTER_VERSION_INFO", "type": "info", "details": {"version": "4.17.2"},
        }  # fmt: skip
        report = {
            "system": {"metadata": {}, "hostname": None}, "reports": [hit], "fingerprints": [], "info": [info],
        }  # fmt: skip
        producer = await Producer.open(self.engines, service="tests")
        try:
            for topic, what in (
                (OCP_RESULTS, {"Report": report}),
                (DVO_RESULTS, {"Metrics": {"workload_recommendations": [advice]}}),
            ):
                await producer.send_raw(topic.name, json.dumps(said | what).encode(), key=None)
        finally:
            await producer.close()

    async def decisions(self) -> None:
        """What users say about a report, once it is there."""
        one = self.one
        report = f"/api/v1/organizations/{one.org_id}/clusters/{one.cluster}/users/{one.user}/report"

        async def look() -> bool:
            async with self.everything.session.get(
                self.everything.urls["results_aggregator"] + report, headers=one.identity
            ) as response:
                assert response.status == 200, await response.text()
            return True

        await eventually(look, within_seconds=90, every_seconds=0.3)
        rule = f"rules/{one.rule}.report/error_key/{RULE_KEY}/organizations/{one.org_id}"
        of_cluster, of_user = f"/api/v1/clusters/{one.cluster}/{rule}", f"users/{one.user}"
        texts = {name: one.secret(name) for name in ("why", "vote", "justification")}
        for method, path, body in (
            ("PUT", f"{of_cluster}/disable", None),
            ("POST", f"{of_cluster}/{of_user}/disable_feedback", {"message": texts["why"]}),
            ("PUT", f"{of_cluster}/{of_user}/dislike", {"message": texts["vote"]}),
            ("PUT", f"/api/v1/{rule}/disable", {"justification": texts["justification"]}),
            (
                "POST",
                f"/api/v1/rules/organizations/{one.org_id}/rating",
                {"rule": f"{one.rule}|{RULE_KEY}", "rating": -1},
            ),
        ):
            await self.ask("results_aggregator", method, path, body)

    async def light_speed(self) -> None:
        one = self.one
        question = one.secret("question")
        answer = await self.ask("ols", "POST", "/v1/query", {"query": question})
        one.known["conversation_id"] = [answer["conversation_id"]]
        one.secrets.add(answer["conversation_id"])
        said = {
            "conversation_id": answer["conversation_id"], "user_question": question, "llm_response": "so",
            "sentiment": 1, "user_feedback": one.secret("feedback"),
        }  # fmt: skip
        await self.ask("ols", "POST", "/v1/feedback", said)

    async def installation(self) -> None:
        """The first organisation's; the token is whose the installer is."""
        if self.one.credentials("assisted_events") == self.one.identity:
            return
        made = self.one.secret_uuid()
        body = {"cluster_id": made, "hosts": 2, "events": 5}
        await self.ask("assisted_events", "POST", f"{ASSISTED}/simulations", body)
        self.one.known["cluster_id"] = [made]
        sent = await self.there(
            "assisted_events",
            f"{ASSISTED}/clusters/{made}",
            lambda answer: [item["state"] for item in answer["sendings"]] == ["sent"],
        )
        self.one.known["request_id"].append(sent["sendings"][0]["request_id"])
        self.one.secrets.add(sent["sendings"][0]["request_id"])

    async def tracked(self) -> None:
        """Every upload's statuses are there, those of the last service included."""
        last = {"ols": "archiver", "openshift": "results-aggregator", "hccm": "ros-poller"}
        for kind, request_id in self.one.requests.items():
            await self.there(
                "payload_tracker",
                f"/api/v1/payloads/{request_id}",
                lambda answer, kind=kind: any(
                    item["service"] == last[kind] and item["status"] == "success" for item in answer["data"]
                ),
            )

    async def archived(self) -> None:
        for request_id in self.one.requests.values():
            await self.there(
                "archiver",
                f"/api/archives/v1/archives?request_id={request_id}",
                lambda answer: answer["count"] > 0 and all(item["published_at"] for item in answer["data"]),
            )

    async def recommended(self) -> None:
        for path in (f"{ROS}/recommendations", f"{OPENSHIFT}/namespace?start_date=2026-07-01"):
            found = await self.there("ros_api", path, lambda answer: answer["meta"]["count"] > 0)
            self.one.known["recommendation_id"] += [row["id"] for row in found["data"]]
        self.one.secrets.update(self.one.known["recommendation_id"])
        polled = await self.ask("ros_api", "GET", f"{ROS}/headrace/workloads")
        self.one.known["workload_id"] = [str(row["workload_id"]) for row in polled["data"]]
