"""Users of a cluster: the Kubernetes API identifies the owner of a token and authorises the question."""

import asyncio
from pathlib import Path
from typing import Any, Final

from aiohttp import web

from headrace.runtime.errors import ConfigurationError, Permanent, Retryable
from headrace.runtime.logging import get_logger
from headrace.web.peer import Answer, Peer
from headrace_services.ols.callers import Caller, bearer_token, unknown_token
from headrace_services.ols.refusals import Problem

_log = get_logger(__name__)

_REVIEWS: Final = "/apis/authentication.k8s.io/v1/tokenreviews"
_ACCESSES: Final = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
_VERSION: Final = "/apis/config.openshift.io/v1/clusterversions/version"
# No server has this path; a user may ask questions if the cluster's RBAC allows a GET of it.
_ACCESS_PATH: Final = "/ols-access"
_ADMINISTRATOR: Final = "kube:admin"
_AWAY: Final = "the Kubernetes API does not answer"


class ClusterUsers:
    """Asks the API for each request, so that a revoked token is refused at once."""

    def __init__(self, api: Peer, token_file: Path) -> None:
        self._api = api
        self._token_file = token_file
        self._cluster_id = ""

    async def caller(self, request: web.Request) -> Caller:
        """Identify the client by TokenReview and authorise it by SubjectAccessReview."""
        token = bearer_token(request)
        review = await self._ask("TokenReview", _REVIEWS, "authentication.k8s.io/v1", {"token": token})
        user = review.get("user")
        if review.get("authenticated") is not True or not isinstance(user, dict):
            raise unknown_token()
        name, user_id = str(user.get("username") or ""), str(user.get("uid") or "")
        access = await self._ask(
            "SubjectAccessReview",
            _ACCESSES,
            "authorization.k8s.io/v1",
            {
                "user": name,
                "groups": user.get("groups") or [],
                "nonResourceAttributes": {"path": _ACCESS_PATH, "verb": "get"},
            },
        )
        if access.get("allowed") is not True:
            raise Problem(403, "Forbidden: User does not have access")
        if name == _ADMINISTRATOR:
            user_id = await self._cluster()
        if not user_id:
            raise unknown_token()
        return Caller(user_id, name)

    async def _ask(self, kind: str, path: str, version: str, spec: dict[str, Any]) -> dict[str, Any]:
        answer = await self._call("POST", path, {"apiVersion": version, "kind": kind, "spec": spec})
        status = answer.body.get("status") if isinstance(answer.body, dict) else None
        if answer.status not in {200, 201} or not isinstance(status, dict):
            _log.error("kubernetes_refuses", asked=kind, status=answer.status)
            raise Retryable(f"the Kubernetes API answered {answer.status} to a {kind}")
        return status

    async def _cluster(self) -> str:
        if not self._cluster_id:
            body = (await self._call("GET", _VERSION)).body
            spec = body.get("spec") if isinstance(body, dict) else None
            found = spec.get("clusterID") if isinstance(spec, dict) else None
            if not isinstance(found, str) or not found:
                raise Retryable("the Kubernetes API returned no cluster id")
            self._cluster_id = found
        return self._cluster_id

    async def _call(self, method: str, path: str, body: Any = None) -> Answer:
        # The kubelet renews the token every hour.
        try:
            own = (await asyncio.to_thread(self._token_file.read_text, encoding="utf-8")).strip()
        except OSError as error:
            raise Retryable(f"OLS_K8S_TOKEN_FILE cannot be read: {error.strerror}") from None
        try:
            return await self._api.call(method, path, json=body, headers={"Authorization": f"Bearer {own}"})
        except (Retryable, Permanent):
            # The exception's text may repeat the token.
            raise Retryable(_AWAY) from None


def check_kubernetes(url: str, token_file: str, ca_file: str) -> None:
    """Raise `ConfigurationError` if there is no Kubernetes API. This call blocks."""
    if not url:
        raise ConfigurationError(
            "OLS_AUTHENTICATION: got 'k8s', but neither KUBERNETES_SERVICE_HOST nor OLS_K8S_API is set"
        )
    files = {"OLS_K8S_TOKEN_FILE": token_file}
    if url.startswith("https://"):
        files["OLS_K8S_CA_FILE"] = ca_file
    for variable, path in files.items():
        if not Path(path).is_file():
            raise ConfigurationError(f"{variable}: got {path!r}, expected an existing file")
