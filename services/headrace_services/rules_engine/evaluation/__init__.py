"""From the bytes of an uploaded archive to insights-core's JSON report, without disk."""

from headrace_services.rules_engine.evaluation.loading import RulesConfig
from headrace_services.rules_engine.evaluation.rules import DEFAULT_LIMITS, Evaluation, Rules

__all__ = ["DEFAULT_LIMITS", "Evaluation", "Rules", "RulesConfig"]
