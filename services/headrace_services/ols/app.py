"""Connects the parts of ols: questions to LLMs, and files for the collector."""

import asyncio
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import aiohttp

from headrace.contracts.message import utc_now
from headrace.runtime.errors import ConfigurationError
from headrace.runtime.logging import get_logger
from headrace.service.context import Context
from headrace.web.peer import Peer
from headrace_services.ols import metrics, records
from headrace_services.ols.api import Api
from headrace_services.ols.callers import Authentication, Noop, Tokens, tokens_of
from headrace_services.ols.client import Limits, OpenAi
from headrace_services.ols.cluster_users import ClusterUsers, check_kubernetes
from headrace_services.ols.conversations import Conversations
from headrace_services.ols.handlers import Questions
from headrace_services.ols.llm import BuiltIn, Llm
from headrace_services.ols.olsconfig import BUILT_IN, UNSPOKEN, Configuration, read_configuration
from headrace_services.ols.settings import OlsSettings
from headrace_services.ols.store import UserData

_log = get_logger(__name__)

_KUBERNETES_SECONDS: Final = 10.0
_SWEEP_EVERY_SECONDS: Final = 3600.0
_NOBODY_ASKED: Final = frozenset({"noop", "noop-with-token"})


async def start(context: Context) -> None:
    """Serve the API, and store the enabled kinds of data."""
    settings = context.settings(OlsSettings)
    configuration = await asyncio.to_thread(read_configuration, settings)
    session = aiohttp.ClientSession()
    context.on_close(session.close)
    user_data = UserData(configuration.user_data)
    api = Api(
        authentication=await _authentication(context, settings, configuration),
        questions=Questions(
            configuration,
            _llms(configuration, session, settings),
            Conversations(settings.max_conversations, settings.max_turns),
            user_data,
        ),
        user_data=user_data,
        places=asyncio.Semaphore(settings.max_concurrent),
        max_body_bytes=settings.max_body_bytes,
        not_ready=lambda: "; ".join(context.health.problems.values()),
    )
    user_data.warn_of_strays()
    await user_data.configuration(records.captured(configuration, utc_now()))
    await user_data.status(records.status(configuration, utc_now()))
    context.spawn("sweep", lambda: _keep_sweeping(user_data))
    await context.listen(api.application())


def _llms(
    configuration: Configuration, session: aiohttp.ClientSession, settings: OlsSettings
) -> Mapping[tuple[str, str], Llm]:
    limits = Limits(settings.llm_seconds, settings.llm_idle_seconds, settings.llm_attempts)
    llms: dict[tuple[str, str], Llm] = {}
    for name, provider in configuration.providers.items():
        if provider.type in UNSPOKEN:
            _log.warning("llm_provider_not_spoken", provider=name, type=provider.type)
            continue
        key = configuration.keys.get(name, "")
        for model in provider.models:
            is_default = (name, model.name) == (configuration.default_provider, configuration.default_model)
            metrics.CONFIGURED.labels(name, model.name).set(int(is_default))
            llms[name, model.name] = (
                BuiltIn() if provider.type == BUILT_IN else OpenAi(session, provider, model, key, limits)
            )
    return llms


async def _authentication(
    context: Context, settings: OlsSettings, configuration: Configuration
) -> Authentication:
    way = configuration.authentication or settings.authentication
    if not way:
        account = Path(settings.kubernetes_token_file)
        in_cluster = bool(settings.kubernetes_url) and await asyncio.to_thread(account.is_file)
        way = "noop" if context.lenient else "k8s" if in_cluster else "tokens"
    if way in _NOBODY_ASKED:
        if not context.lenient:
            _log.warning(
                "authentication_disabled", meaning="authentication is off: user ids are not verified"
            )
        return Noop()
    if way == "tokens":
        return Tokens(tokens_of(settings.tokens))
    url = settings.kubernetes_url
    await asyncio.to_thread(
        check_kubernetes, url, settings.kubernetes_token_file, settings.kubernetes_ca_file
    )
    secure = await asyncio.to_thread(_trust, settings.kubernetes_ca_file) if url.startswith("https") else True
    session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=secure))
    context.on_close(session.close)
    peer = Peer(session, url, name="the Kubernetes API", timeout_seconds=_KUBERNETES_SECONDS)
    return ClusterUsers(peer, Path(settings.kubernetes_token_file))


def _trust(path: str) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=path)
    except (OSError, ssl.SSLError):
        raise ConfigurationError(f"OLS_K8S_CA_FILE: got {path!r}, expected PEM certificates") from None


async def _keep_sweeping(user_data: UserData) -> None:
    while True:
        if swept := await user_data.sweep():
            _log.info("half_written_removed", count=swept)
        await asyncio.sleep(_SWEEP_EVERY_SECONDS)
