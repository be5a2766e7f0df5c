"""The evaluation of rules in memory: from the bytes of an uploaded archive to insights-core's JSON report."""

from headrace.rules.evaluation.loading import RulesConfig
from headrace.rules.evaluation.rules import DEFAULT_LIMITS, Evaluation, Rules

__all__ = ["DEFAULT_LIMITS", "Evaluation", "Rules", "RulesConfig"]
