"""The kinds and texts of notifications.

Source: kruize/autotune (RecommendationConstants, design/NotificationCodes.md).
"""

from collections.abc import Iterable
from typing import Any, Final

from headrace.contracts.kruize import Code

KINDS: Final = {1: "info", 2: "error", 3: "notice", 4: "warning", 5: "critical"}


MESSAGES: Final = {
    Code.AVAILABLE: "Recommendations Are Available",
    Code.SHORT_TERM_AVAILABLE: "Short Term Recommendations Available",
    Code.MEDIUM_TERM_AVAILABLE: "Medium Term Recommendations Available",
    Code.LONG_TERM_AVAILABLE: "Long Term Recommendations Available",
    Code.COST_AVAILABLE: "Cost Recommendations Available",
    Code.PERFORMANCE_AVAILABLE: "Performance Recommendations Available",
    Code.MODEL_AVAILABLE: "Model Recommendations Available",
    Code.RUNTIMES_AVAILABLE: "Runtimes Recommendations Available",
    Code.NOT_ENOUGH_DATA: "There is not enough data available to generate a recommendation.",
    Code.ACCELERATOR_AVAILABLE: "Accelerator Recommendations are available",
    Code.PODS_ZERO: "Number of pods cannot be zero",
    Code.PODS_NEGATIVE: "Number of pods cannot be negative",
    Code.HOURS_ZERO: "Duration hours cannot be zero",
    Code.HOURS_NEGATIVE: "Duration hours cannot be negative",
    Code.CPU_AMOUNT_MISSING: "Amount field is missing in the CPU Section",
    Code.CPU_AMOUNT_INVALID: "Invalid Amount in CPU Section",
    Code.CPU_FORMAT_MISSING: "Format field is missing in CPU Section",
    Code.CPU_FORMAT_INVALID: "Invalid Format in CPU Section",
    Code.MEMORY_AMOUNT_MISSING: "Amount field is missing in the Memory Section",
    Code.MEMORY_AMOUNT_INVALID: "Invalid Amount in Memory Section",
    Code.MEMORY_FORMAT_MISSING: "Format field is missing in Memory Section",
    Code.MEMORY_FORMAT_INVALID: "Invalid Format in Memory Section",
    Code.CPU_IDLE: "CPU Usage is less than a millicore, No CPU Recommendations can be generated",
    Code.CPU_ZERO: "CPU usage is zero, No CPU Recommendations can be generated",
    Code.CPU_UNKNOWN: "CPU metrics are not available, No CPU Recommendations can be generated",
    Code.CPU_REQUEST_OPTIMISED: "Workload is optimised wrt CPU REQUESTS, no changes needed",
    Code.CPU_LIMIT_OPTIMISED: "Workload is optimised wrt CPU LIMITS, no changes needed",
    Code.MEMORY_ZERO: "Memory Usage is zero, No Memory Recommendations can be generated",
    Code.MEMORY_UNKNOWN: "Memory metrics are not available, No Memory Recommendations can be generated",
    Code.MEMORY_REQUEST_OPTIMISED: "Workload is optimised wrt MEMORY REQUESTS, no changes needed",
    Code.MEMORY_LIMIT_OPTIMISED: "Workload is optimised wrt MEMORY LIMITS, no changes needed",
    Code.ACCELERATOR_UNSUPPORTED: "Accelerator is not supported by kruize",
    Code.CPU_LIMIT_UNSET: "CPU Limit Not Set",
    Code.CPU_REQUEST_UNSET: "CPU Request Not Set",
    Code.MEMORY_REQUEST_UNSET: "Memory Request Not Set",
    Code.MEMORY_LIMIT_UNSET: "Memory Limit Not Set",
}

_ENTRIES: Final = {
    code: {"type": KINDS[code // 100_000], "message": message, "code": int(code)}
    for code, message in MESSAGES.items()
}
_KEYS: Final = {code: code.key for code in Code}


def notifications(codes: Iterable[Code]) -> dict[str, Any]:
    """Return the section of that name: the text, kind and number of each code; repeated codes appear once."""
    return {_KEYS[code]: dict(_ENTRIES[code]) for code in codes}
