"""``service.logging``: what a config.yaml says of the log, our own lines included."""

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

# Our lines go to the logger that the pipeline's own lines went to, so that its level and handlers count.
_LOGGERS: Final = ("ccx_messaging", "controller", "ccx_data_pipeline", "insights_messaging")
_OURS: Final = "headrace"


def configure_logs(plan: Pipeline, process: ProcessSettings) -> None:
    """Follow ``service.logging``; without it lines are written as by every other command.

    Raises:
        ConfigurationError: it is no configuration that `logging.config.dictConfig` takes.

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
    """What happened, then its data; time, name and level are the configured format's business."""
    text, trace = event.pop("event", ""), event.pop("exception", "")
    event.pop("module", None)
    words = [str(text), *(f"{key}={value}" for key, value in event.items())]
    return redact(" ".join(words) + (f"\n{trace}" if trace else ""))
