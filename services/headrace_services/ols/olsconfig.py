"""``olsconfig.yaml``: the keys that have an effect. Source: openshift/lightspeed-service (ols/app/models/config.py).

Without a file, the same text is built from the environment, so that there is only one form of configuration.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Self

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from headrace.runtime.errors import ConfigurationError
from headrace.runtime.logging import redact
from headrace_services.ols.settings import OlsSettings

BUILT_IN: Final = "fake_provider"
BUILT_IN_NAME: Final = "headrace"
BUILT_IN_MODEL: Final = "built-in-responder"
OPENAI_URL: Final = "https://api.openai.com/v1"
# The APIs of these providers differ from OpenAI's.
UNSPOKEN: Final = frozenset(
    {"anthropic", "azure_openai", "watsonx", "bam", "google_vertex", "google_vertex_anthropic", "bedrock"}
)
_WITHOUT_URL: Final = UNSPOKEN | {BUILT_IN, "openai"}
# The file with the key in a directory that is given as credentials_path.
_KEY_FILE: Final = "apitoken"
_SOURCE_OF_ENVIRONMENT: Final = "the environment"


class _Section(BaseModel):
    """The base of all sections; real files have many further keys, which are ignored."""

    model_config = ConfigDict(extra="ignore", frozen=True)


def _or(default: Any) -> BeforeValidator:
    """Treat a key without a value as absent."""
    return BeforeValidator(lambda value: default if value is None else value)


class UserDataCollection(_Section):
    """The enabled kinds of data and their directories."""

    feedback_disabled: bool = True
    feedback_storage: Path | None = None
    transcripts_disabled: bool = True
    transcripts_storage: Path | None = None
    config_disabled: bool = True
    config_storage: Path | None = None

    @model_validator(mode="after")
    def _storages(self) -> Self:
        if not self.feedback_disabled and self.feedback_storage is None:
            raise ValueError("feedback_storage is required when feedback is enabled")
        if not self.transcripts_disabled and self.transcripts_storage is None:
            raise ValueError("transcripts_storage is required when transcripts capturing is enabled")
        if not self.config_disabled and self.config_storage is None:
            raise ValueError("config_storage is required when config collection is enabled")
        return self

    @property
    def feedback(self) -> Path | None:
        """The directory of feedback, None if it is disabled."""
        return None if self.feedback_disabled else self.feedback_storage

    @property
    def transcripts(self) -> Path | None:
        """The directory of transcripts, None if they are disabled."""
        return None if self.transcripts_disabled else self.transcripts_storage

    @property
    def config(self) -> Path | None:
        """The directory of captured configurations, None if it is disabled."""
        return None if self.config_disabled else self.config_storage

    @property
    def kept(self) -> Mapping[str, Path]:
        """The enabled kinds, by the expected name of their directory."""
        named = {"feedback": self.feedback, "transcripts": self.transcripts, "config": self.config}
        return {name: path for name, path in named.items() if path is not None}

    @property
    def config_status(self) -> Path | None:
        """The directory of the summary of features, beside feedback and transcripts; None if neither is enabled."""
        beside = self.feedback or self.transcripts
        return beside.parent / "config_status" if beside else None


class QueryFilter(_Section):
    """A filter of questions and attachments."""

    name: str
    pattern: re.Pattern[str]
    replace_with: str

    @model_validator(mode="after")
    def _replaceable(self) -> Self:
        # The alternative "nothing" always matches and shows the groups of the pattern.
        match = re.compile(self.pattern.pattern + "|", self.pattern.flags).match("")
        try:
            if match:
                match.expand(self.replace_with)
        except (re.error, IndexError) as error:
            raise ValueError(f"replace_with does not fit its pattern: {error}") from None
        return self


class ModelParameters(_Section):
    """The limits of a model's answers."""

    max_tokens_for_response: int | None = Field(default=None, gt=0)


class Model(_Section):
    """One model of a provider."""

    name: str
    context_window_size: Annotated[int, _or(128_000)] = Field(default=128_000, gt=0)
    parameters: Annotated[ModelParameters, _or({})] = ModelParameters()

    @property
    def prompt_tokens(self) -> int:
        """The tokens of the context window that remain for the question."""
        return max(self.context_window_size - (self.parameters.max_tokens_for_response or 4096), 1)


class Provider(_Section):
    """One endpoint; the values in its ``<type>_config`` take precedence."""

    name: str
    type: str = ""
    url: str = ""
    credentials_path: Path | None = None
    models: list[Model] = Field(min_length=1)

    @model_validator(mode="before")
    @classmethod
    def _own_section(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        found = {name: value for name, value in given.items() if value is not None}
        found.setdefault("type", found.get("name", ""))
        own = found.get(f"{found['type']}_config")
        if isinstance(own, dict):
            found |= {name: own[name] for name in ("url", "credentials_path") if own.get(name) is not None}
        return found

    @model_validator(mode="after")
    def _reachable(self) -> Self:
        if self.type not in _WITHOUT_URL and not self.url.startswith(("http://", "https://")):
            raise ValueError(
                f"url: got {redact(self.url)!r}, expected the URL of an OpenAI-compatible endpoint"
            )
        return self

    @property
    def endpoint(self) -> str:
        """The URL up to ``/chat/completions``, exclusive."""
        return (self.url or OPENAI_URL).rstrip("/")


_OURS: Final = Provider(name=BUILT_IN_NAME, type=BUILT_IN, models=[Model(name=BUILT_IN_MODEL)])


class _Authentication(_Section):
    module: str | None = Field(default=None, pattern="^(k8s|noop|noop-with-token)$")


class _OlsConfig(_Section):
    default_provider: str | None = None
    default_model: str | None = None
    authentication_config: Annotated[_Authentication, _or({})] = _Authentication()
    query_filters: Annotated[list[QueryFilter], _or(())] = []
    system_prompt_path: Path | None = None
    user_data_collection: Annotated[UserDataCollection, _or({})] = UserDataCollection()


class _DevConfig(_Section):
    disable_auth: Annotated[bool, _or(False)] = False
    enable_system_prompt_override: Annotated[bool, _or(False)] = False


class _File(_Section):
    ols_config: Annotated[_OlsConfig, _or({})] = _OlsConfig()
    llm_providers: Annotated[list[Provider], _or(())] = []
    dev_config: Annotated[_DevConfig, _or({})] = _DevConfig()


@dataclass(frozen=True)
class Configuration:
    """The configuration. ``text`` and ``document`` are complete, including secrets."""

    path: str
    text: str
    document: Mapping[str, Any]
    user_data: UserDataCollection
    filters: tuple[QueryFilter, ...]
    providers: Mapping[str, Provider]
    default_provider: str
    default_model: str
    keys: Mapping[str, str]
    authentication: str
    system_prompt: str | None
    may_override_prompt: bool


def read_configuration(settings: OlsSettings) -> Configuration:
    """Read the configuration; raises `ConfigurationError` that names the faults and their places. This call blocks."""
    where = settings.config_file or _SOURCE_OF_ENVIRONMENT
    text = _read(where, "OLS_CONFIG_FILE") if settings.config_file else _text_of_variables(settings)
    document = _document(text, where)
    try:
        found = _File.model_validate(document)
    except ValidationError as error:
        raise ConfigurationError("; ".join(f"{where}: {line}" for line in _lines(error))) from None
    ols = found.ols_config
    if settings.config_file and found.llm_providers:
        providers = found.llm_providers
        keys = {item.name: _key_at(item.credentials_path) for item in providers if item.credentials_path}
        defaults = _defaults(where, providers, ols.default_provider, ols.default_model)
    else:
        providers = [_provider_of_variables(settings)]
        keys = {providers[0].name: _key_of_variables(settings)}
        defaults = (providers[0].name, providers[0].models[0].name)
    prompt = ols.system_prompt_path
    return Configuration(
        path=settings.config_file,
        text=text,
        document=document,
        user_data=ols.user_data_collection,
        filters=tuple(ols.query_filters),
        providers={provider.name: provider for provider in providers},
        default_provider=defaults[0],
        default_model=defaults[1],
        keys={name: key for name, key in keys.items() if key},
        authentication="noop" if found.dev_config.disable_auth else ols.authentication_config.module or "",
        system_prompt=_read(str(prompt), f"{where}: ols_config.system_prompt_path") if prompt else None,
        may_override_prompt=found.dev_config.enable_system_prompt_override,
    )


def _defaults(
    where: str, providers: Sequence[Provider], provider: str | None, model: str | None
) -> tuple[str, str]:
    if not provider:
        raise ConfigurationError(f"{where}: default_provider is missing")
    if not model:
        raise ConfigurationError(f"{where}: default_model is missing")
    chosen = next((item for item in providers if item.name == provider), None)
    if chosen is None:
        raise ConfigurationError(f"{where}: default_provider specifies an unknown provider {provider}")
    if model not in {item.name for item in chosen.models}:
        raise ConfigurationError(f"{where}: default_model specifies an unknown model {model}")
    if chosen.type in UNSPOKEN:
        raise ConfigurationError(
            f"{where}: default_provider {provider} is of type {chosen.type}, which is not supported; "
            "expected openai, rhoai_vllm, rhelai_vllm or another OpenAI-compatible endpoint"
        )
    return provider, model


def _document(text: str, where: str) -> Mapping[str, Any]:
    try:
        document = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError) as error:
        # The text at the place may be a secret.
        mark = getattr(error, "problem_mark", None)
        at = f" at line {mark.line + 1}" if mark else ""
        raise ConfigurationError(f"{where}: not a YAML document{at}") from None
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise ConfigurationError(f"{where}: got a {type(document).__name__}, expected a mapping")
    return document


def _lines(error: ValidationError) -> list[str]:
    """Return the faults without the values, which may be secrets."""
    lines = []
    for item in error.errors(include_url=False, include_input=False):
        own = item.get("ctx", {}).get("error")
        text = str(own) if isinstance(own, ValueError) else item["msg"]
        place = ".".join(str(part) for part in item["loc"])
        lines.append(f"{place}: {text}" if place else text)
    return lines


def _text_of_variables(settings: OlsSettings) -> str:
    provider = _provider_of_variables(settings)
    shown = provider.model_dump(mode="json", include={"name", "type", "url"}, exclude_defaults=True)
    ols: dict[str, Any] = {"default_provider": provider.name, "default_model": provider.models[0].name}
    if settings.user_data_path:
        root = Path(settings.user_data_path).absolute()
        ols["user_data_collection"] = {
            key: value
            for name in ("feedback", "transcripts", "config")
            for key, value in ((f"{name}_disabled", False), (f"{name}_storage", str(root / name)))
        }
    document = {
        "llm_providers": [{**shown, "models": [{"name": provider.models[0].name}]}],
        "ols_config": ols,
    }
    return yaml.safe_dump(document, sort_keys=False)


def _provider_of_variables(settings: OlsSettings) -> Provider:
    if not settings.llm_url:
        return _OURS
    if not settings.llm_url.startswith(("http://", "https://")):
        raise ConfigurationError("OLS_LLM_URL: expected a URL that begins with http:// or https://")
    if not settings.llm_model:
        raise ConfigurationError("OLS_LLM_MODEL: got '', expected the name of a model at OLS_LLM_URL")
    return Provider(name="openai", url=settings.llm_url, models=[Model(name=settings.llm_model)])


def _key_of_variables(settings: OlsSettings) -> str:
    if settings.llm_api_key_file:
        return _read(settings.llm_api_key_file, "OLS_LLM_API_KEY_FILE").strip()
    return settings.llm_api_key


def _key_at(path: Path) -> str:
    return _read(str(path / _KEY_FILE if path.is_dir() else path), "credentials_path").strip()


def _read(path: str, what: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ConfigurationError(f"{what}: got {path!r}, expected a readable file: {reason}") from None
