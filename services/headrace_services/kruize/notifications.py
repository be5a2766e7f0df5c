"""What a recommendation says beside its numbers: codes, kinds and texts.

Source: kruize/autotune (RecommendationConstants, design/NotificationCodes.md). The first digit of a code is its
kind, the second and third say the resource: 23 CPU, 24 memory, 28 accelerator. Each code of the table is named
here; those that need accelerators, runtimes or negative numbers are never given.
"""

from collections.abc import Iterable
from enum import IntEnum
from typing import Any, Final

KINDS: Final = {1: "info", 2: "error", 3: "notice", 4: "warning", 5: "critical"}


class Code(IntEnum):
    """Every code by what it says."""

    AVAILABLE = 111000
    SHORT_TERM_AVAILABLE = 111101
    MEDIUM_TERM_AVAILABLE = 111102
    LONG_TERM_AVAILABLE = 111103
    COST_AVAILABLE = 112101
    PERFORMANCE_AVAILABLE = 112102
    MODEL_AVAILABLE = 112103
    RUNTIMES_AVAILABLE = 112104
    NOT_ENOUGH_DATA = 120001
    ACCELERATOR_AVAILABLE = 128001
    PODS_ZERO = 221001
    PODS_NEGATIVE = 221002
    HOURS_ZERO = 221003
    HOURS_NEGATIVE = 221004
    CPU_AMOUNT_MISSING = 223001
    CPU_AMOUNT_INVALID = 223002
    CPU_FORMAT_MISSING = 223003
    CPU_FORMAT_INVALID = 223004
    MEMORY_AMOUNT_MISSING = 224001
    MEMORY_AMOUNT_INVALID = 224002
    MEMORY_FORMAT_MISSING = 224003
    MEMORY_FORMAT_INVALID = 224004
    CPU_IDLE = 323001
    CPU_ZERO = 323002
    CPU_UNKNOWN = 323003
    CPU_REQUEST_OPTIMISED = 323004
    CPU_LIMIT_OPTIMISED = 323005
    MEMORY_ZERO = 324001
    MEMORY_UNKNOWN = 324002
    MEMORY_REQUEST_OPTIMISED = 324003
    MEMORY_LIMIT_OPTIMISED = 324004
    ACCELERATOR_UNSUPPORTED = 328001
    CPU_LIMIT_UNSET = 423001
    CPU_REQUEST_UNSET = 523001
    MEMORY_REQUEST_UNSET = 524001
    MEMORY_LIMIT_UNSET = 524002


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
_KEYS: Final = {code: str(int(code)) for code in Code}


def notifications(codes: Iterable[Code]) -> dict[str, Any]:
    """The section of that name: code as text to its kind, text and number; a code given twice is there once."""
    return {_KEYS[code]: dict(_ENTRIES[code]) for code in codes}
