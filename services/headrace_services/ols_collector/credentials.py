"""Credentials for ingress: the content of ``Authorization`` and ``User-Agent``."""

import asyncio
import base64
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import aiohttp
import orjson

from headrace.runtime.answers import is_transient
from headrace.runtime.errors import HeadraceError, Permanent, Retryable
from headrace_services.ols_collector.asking import Answer, Asking
from headrace_services.ols_collector.plan import Plan
from headrace_services.ols_collector.scrubbing import Scrubber

_log = logging.getLogger("ols_collector")

PULL_SECRET_PATH: Final = "/api/v1/namespaces/openshift-config/secrets/pull-secret"  # noqa: S105 -- a path
CLUSTER_VERSION_PATH: Final = "/apis/config.openshift.io/v1/clusterversions/version"
_REGISTRY: Final = "cloud.openshift.com"
# The cluster id by which upstream's authentication proxy recognises direct tokens and service accounts.
_DIRECT_CLUSTER_ID: Final = "test"
_SERVICE_ACCOUNT_ID: Final = "lightspeed-exporter"
_MAX_SECRET_BYTES: Final = 1 << 20


class NoCredentials(Permanent):
    """There are no credentials; nothing can be sent in this cycle."""


@dataclass(frozen=True)
class Access:
    """The content of the headers; a ``user_agent`` of None is the HTTP library's own."""

    token: str
    user_agent: str | None

    @property
    def headers(self) -> dict[str, str]:
        """The headers that identify the sender."""
        agent = {} if self.user_agent is None else {"User-Agent": self.user_agent}
        return {"Authorization": f"Bearer {self.token}"} | agent


class Credentials:
    """Returns credentials for each attempt. Raises `NoCredentials`, or `Retryable` if a service is away."""

    def __init__(self, plan: Plan, session: aiohttp.ClientSession, scrubber: Scrubber) -> None:
        self._plan = plan
        self._asking = Asking(session, plan.access_token_generation_timeout)
        self._scrubber = scrubber
        scrubber.learn(plan.auth_token, plan.cp_offline_token, plan.client_secret)

    async def access(self) -> Access:
        """Return the first kind that the plan has: direct token, offline token, service account, pull secret."""
        plan = self._plan
        if plan.pull_secret_file:
            # Without its entry in the pull secret the installation has opted out, whatever other credentials exist.
            await asyncio.to_thread(_auth_of_file, plan.pull_secret_file)
        ways: tuple[tuple[str, Callable[[], Awaitable[Access]]], ...] = (
            (plan.auth_token, self._direct),
            (plan.cp_offline_token, self._exchanged),
            (plan.client_id, self._service_account),
        )
        way = next((way for given, way in ways if given), self._by_pull_secret)
        access = await way()
        if not access.token.isascii() or not access.token.isprintable() or not access.token.strip():
            raise NoCredentials("the token is not printable ASCII")
        self._scrubber.learn(access.token)
        return access

    async def _direct(self) -> Access:
        _log.debug("using direct auth token")
        return self._named(self._plan.auth_token, _DIRECT_CLUSTER_ID)

    async def _exchanged(self) -> Access:
        _log.debug("using CP offline token to generate refresh token")
        token = await self._access_token(
            grant_type="refresh_token", client_id="rhsm-api", refresh_token=self._plan.cp_offline_token
        )
        # Upstream's authentication proxy refuses such a token together with the special User-Agent.
        return Access(
            token, self._plan.user_agent_of(self._plan.cluster_id) if self._plan.cluster_id else None
        )

    async def _service_account(self) -> Access:
        _log.debug("using service account to generate access token")
        token = await self._access_token(
            grant_type="client_credentials",
            client_id=self._plan.client_id,
            client_secret=self._plan.client_secret,
            scope="api.console",
        )
        answer = await self._asking.post(
            self._plan.accounts_url, headers={"Authorization": f"Bearer {token}"}, what="accounts service"
        )
        if answer.status != 200:
            self._fail(answer, "Failed to get the token that ingress takes. Response: ")
        return self._named(auth_of(answer.body), _SERVICE_ACCOUNT_ID)

    async def _by_pull_secret(self) -> Access:
        _log.debug("using cluster pull secret to authenticate")
        plan = self._plan
        if plan.pull_secret_file and plan.cluster_id:
            return self._named(await asyncio.to_thread(_auth_of_file, plan.pull_secret_file), plan.cluster_id)
        # Few collectors run in pods, and the import costs memory.
        from headrace.kubernetes import Cluster

        try:
            async with Cluster.find() as cluster:
                cluster_id = plan.cluster_id or await _cluster_id(cluster.get)
                if plan.pull_secret_file:
                    return self._named(
                        await asyncio.to_thread(_auth_of_file, plan.pull_secret_file), cluster_id
                    )
                return self._named(await _pull_secret(cluster.get), cluster_id)
        except (Retryable, NoCredentials):
            raise
        except HeadraceError as error:
            raise NoCredentials(f"pull secret not found: {self._scrubber.clean(str(error))}") from None

    def _named(self, token: str, cluster_id: str) -> Access:
        return Access(token, self._plan.user_agent_of(self._plan.cluster_id or cluster_id))

    async def _access_token(self, **form: str) -> str:
        answer = await self._asking.post(self._plan.sso_url, data=form, what="SSO")
        token = answer.body.get("access_token") if isinstance(answer.body, dict) else None
        if answer.status != 200 or not isinstance(token, str):
            self._fail(answer, "Failed to generate access token. Response: ")
        self._scrubber.learn(str(token))
        return str(token)

    def _fail(self, answer: Answer, prefix: str) -> None:
        text = self._scrubber.clean(answer.text)
        if answer.body is None:
            text = f"is not JSON. Response: {answer.status}: {text}"
            prefix = prefix.removesuffix(": ") + " "
        if is_transient(answer.status):
            raise Retryable(prefix + text, retry_after_seconds=answer.retry_after_seconds)
        raise NoCredentials(prefix + text)


def auth_of(document: Any) -> str:
    """Return the credential of cloud.openshift.com in a docker config, unchanged (base64, not decoded)."""
    auths = document.get("auths") if isinstance(document, dict) else None
    entry = auths.get(_REGISTRY) if isinstance(auths, dict) else None
    auth = entry.get("auth") if isinstance(entry, dict) else None
    if not isinstance(auth, str) or not auth.strip():
        raise NoCredentials(f"pull secret not found: no auths/{_REGISTRY}/auth in the docker config")
    return auth


def _auth_of_file(name: str) -> str:
    try:
        with Path(name).open("rb") as opened:
            text = opened.read(_MAX_SECRET_BYTES)
    except OSError as error:
        raise NoCredentials(f"pull secret not found: {name}: {error.strerror}") from None
    return auth_of(_decoded(text))


async def _pull_secret(get: Callable[[str], Awaitable[dict[str, Any]]]) -> str:
    data = (await get(PULL_SECRET_PATH)).get("data")
    encoded = data.get(".dockerconfigjson") if isinstance(data, dict) else None
    if not isinstance(encoded, str):
        raise NoCredentials("pull secret not found: openshift-config/pull-secret has no .dockerconfigjson")
    try:
        text = base64.b64decode(encoded, validate=True)
    except ValueError:
        raise NoCredentials("pull secret not found: .dockerconfigjson is not base64") from None
    return auth_of(_decoded(text))


async def _cluster_id(get: Callable[[str], Awaitable[dict[str, Any]]]) -> str:
    spec = (await get(CLUSTER_VERSION_PATH)).get("spec")
    found = spec.get("clusterID") if isinstance(spec, Mapping) else None
    if not isinstance(found, str) or not found.isprintable() or not found.isascii() or not found:
        raise NoCredentials("cluster id not found: ClusterVersion version has no spec.clusterID")
    return found


def _decoded(text: bytes) -> Any:
    try:
        orjson.loads(text)
        return json.loads(text, object_pairs_hook=_members)
    except (ValueError, RecursionError):
        return None


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # Readers would differ in which of two equal keys they use, and one may lack the credential.
    if len(dict(pairs)) < len(pairs):
        raise NoCredentials("pull secret not found: the docker config names a key twice")
    return dict(pairs)
