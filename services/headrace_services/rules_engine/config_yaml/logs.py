"""The logging settings of a config.yaml (``service.logging``), which also apply to Headrace's own lines."""

import logging
import logging.config
from collections.abc import Callable, Mapping
from typing import Any, Final

import structlog

from headrace.runtime.errors import ConfigurationError
from headrace.runtime.logging import configure, redact
from headrace.runtime.settings import ProcessSettings
from headrace_services.rules_engine.config_yaml import classes
from headrace_services.rules_engine.config_yaml.plan import Pipeline

# Headrace's lines use the logger of the pipeline's own lines, so that its level and handlers apply.
_LOGGERS: Final = ("ccx_messaging", "controller", "ccx_data_pipeline", "insights_messaging")
_OURS: Final = "headrace"


def configure_logs(plan: Pipeline, process: ProcessSettings) -> None:
    """Configure the log by ``service.logging``; without it the log is that of every other command.

    Raises:
        ConfigurationError: `logging.config.dictConfig` does not accept it.
    """
    configure(process.log_level, process.log_format)
    if plan.logging is None:
        return
    config: Any = {"version": 1, **plan.logging}
    if plan.logging_configurator is not None:
        change: Callable[[Any], Any] = classes.build(plan.logging_configurator)
        config = change(config)
    try:
        logging.config.dictConfig(config)
    except (ValueError, TypeError, AttributeError, ImportError, OSError) as error:
        cause = f": {error.__cause__}" if error.__cause__ else ""
        raise ConfigurationError(f"service.logging: {error}{cause}") from error
    _follow(config.get("loggers") or {})


def _follow(loggers: Mapping[str, Any]) -> None:
    logger = logging.getLogger(next((name for name in _LOGGERS if name in loggers), _OURS))
    logger.disabled = False
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.format_exc_info,
            _line,
        ],
        logger_factory=lambda *_: logger,
        wrapper_class=structlog.make_filtering_bound_logger(logger.getEffectiveLevel()),
        cache_logger_on_first_use=True,
    )


def _line(_logger: Any, _method: str, event: structlog.typing.EventDict) -> str:
    """Return the event and its data; the configured format adds time, name and level."""
    text, trace = event.pop("event", ""), event.pop("exception", "")
    event.pop("module", None)
    words = [str(text), *(f"{key}={value}" for key, value in event.items())]
    return redact(" ".join(words) + (f"\n{trace}" if trace else ""))
