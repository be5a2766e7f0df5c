"""The rules written down one by one, with dicts, lists and floats: slow, and meant to be seen to be right.

An interval is ``{"start": ms, "end": ms, "metrics": {name: {"sum": …, "avg": …, "min": …, "max": …, "format": …}}}``;
what was not sent is not there.
"""

import math
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal

DAY = 24 * 60 * 60 * 1000
MINUTE = 60 * 1000
# name, days, minutes of data it needs, points of its plot, milliseconds of each
TERMS = [
    ("short_term", 1, 30, 4, DAY // 4),
    ("medium_term", 7, 2 * 24 * 60, 7, DAY),
    ("long_term", 15, 8 * 24 * 60, 15, DAY),
]
ENGINES = [("cost", 60, 112101), ("performance", 98, 112102)]
TERM_AVAILABLE = {"short_term": 111101, "medium_term": 111102, "long_term": 111103}
TYPES = {"1": "info", "2": "error", "3": "notice", "4": "warning", "5": "critical"}
MESSAGES = {
    111000: "Recommendations Are Available",
    111101: "Short Term Recommendations Available",
    111102: "Medium Term Recommendations Available",
    111103: "Long Term Recommendations Available",
    112101: "Cost Recommendations Available",
    112102: "Performance Recommendations Available",
    120001: "There is not enough data available to generate a recommendation.",
    221001: "Number of pods cannot be zero",
    223001: "Amount field is missing in the CPU Section",
    223002: "Invalid Amount in CPU Section",
    223003: "Format field is missing in CPU Section",
    223004: "Invalid Format in CPU Section",
    224001: "Amount field is missing in the Memory Section",
    224002: "Invalid Amount in Memory Section",
    224003: "Format field is missing in Memory Section",
    224004: "Invalid Format in Memory Section",
    323001: "CPU Usage is less than a millicore, No CPU Recommendations can be generated",
    323002: "CPU usage is zero, No CPU Recommendations can be generated",
    323004: "Workload is optimised wrt CPU REQUESTS, no changes needed",
    323005: "Workload is optimised wrt CPU LIMITS, no changes needed",
    324001: "Memory Usage is zero, No Memory Recommendations can be generated",
    324003: "Workload is optimised wrt MEMORY REQUESTS, no changes needed",
    324004: "Workload is optimised wrt MEMORY LIMITS, no changes needed",
    423001: "CPU Limit Not Set",
    523001: "CPU Request Not Set",
    524001: "Memory Request Not Set",
    524002: "Memory Limit Not Set",
}
# resource, setting: metric; notice if it is not set; notice if it may stay
CURRENT = {
    ("cpu", "requests"): ("cpuRequest", 523001, 323004),
    ("cpu", "limits"): ("cpuLimit", 423001, 323005),
    ("memory", "requests"): ("memoryRequest", 524001, 324003),
    ("memory", "limits"): ("memoryLimit", 524002, 324004),
}
ERRORS = {
    "cpu": {"no amount": 223001, "amount": 223002, "no format": 223003, "format": 223004},
    "memory": {"no amount": 224001, "amount": 224002, "no format": 224003, "format": 224004},
}


def recommend(kind, intervals, threshold=0.1, plots=True):
    by_end = {}
    for interval in intervals:
        by_end[interval["end"]] = interval
    intervals = sorted(by_end.values(), key=lambda interval: interval["end"])
    end = intervals[-1]["end"]
    passing = [term for term in TERMS if has_enough(intervals, end, term)]
    if not passing:
        return {"version": "1.0", "notifications": notes([120001]), "data": {}}
    if threshold is None or threshold <= 0:
        threshold = 0.1
    current, codes = what_is_set(kind, intervals[-1])
    sections = {}
    for term in TERMS:
        name = term[0]
        sections[name] = {"duration_in_hours": hours(kind, intervals, term), "notifications": notes([120001])}
        if term in passing:
            codes.append(TERM_AVAILABLE[name])
            sections[name] |= one_term(kind, intervals, end, term, current, threshold)
            if plots:
                sections[name]["plots"] = plot(kind, intervals, end, term)
    moment = {
        "notifications": notes(codes),
        "monitoring_end_time": text(end),
        "current": current,
        "recommendation_terms": sections,
    }
    return {"version": "1.0", "notifications": notes([111000]), "data": {text(end): moment}}


def one_term(kind, intervals, end, term, current, threshold):
    start = end - term[1] * DAY
    window = [interval for interval in intervals if start <= interval["end"] <= end]
    return {
        "notifications": notes(code for _, _, code in ENGINES),
        "monitoring_start_time": text(start),
        "recommendation_engines": {
            name: one_engine(kind, window, percent, current, threshold) for name, percent, _ in ENGINES
        },
    }


def one_engine(kind, window, percent, current, threshold):
    wanted, codes = what_is_wanted(kind, window, percent)
    config, variation = {}, {}
    for resource, amount in wanted.items():
        unit = unit_of(kind, window, resource)
        if unit is None:
            codes.append(ERRORS[resource]["no format"])
            continue
        # The request and the limit are one and the same thing.
        shared = {"amount": amount, "format": unit}
        for setting in ("requests", "limits"):
            now = 0.0
            if resource in current.get(setting, {}):
                now = current[setting][resource]["amount"]
            change = {"amount": amount - now, "format": unit}
            if now > 0 and abs((amount - now) / now * 100) <= threshold:
                shared["amount"] = now
                change["amount"] = 0.0
                codes.append(CURRENT[resource, setting][2])
            config.setdefault(setting, {})[resource] = shared
            variation.setdefault(setting, {})[resource] = change

    pods = pods_count(kind, window)
    if pods == 0:
        codes.append(221001)
    return {
        "pods_count": pods,
        "confidence_level": 0.0,
        "config": config,
        "variation": variation,
        "notifications": notes(codes),
    }


def what_is_wanted(kind, window, percent):
    wanted, codes = {}, []
    highs = [cpu_of(kind, interval)[1] for interval in window]
    cpu = max(highs) if max(highs) < 1.0 else percentile(percent, highs)
    if cpu == 0:
        codes.append(323002)
    elif cpu <= 0.001:
        codes.append(323001)
    else:
        wanted["cpu"] = cpu
    used = percentile(100, [memory_of(kind, interval)[1] for interval in window])
    spike = percentile(100, [spike_of(kind, interval) for interval in window])
    memory = min(used + used * 0.2, used + (spike + spike * 0.05))
    if memory == 0:
        codes.append(324001)
    elif memory > 0:
        wanted["memory"] = memory
    return wanted, codes


def what_is_set(kind, interval):
    current, codes = {}, []
    for (resource, setting), (metric, unset, _) in CURRENT.items():
        given = interval["metrics"].get(full_name(kind, metric), {})
        amount = given.get("avg" if kind == "container" else "sum")
        if amount is None:
            codes += [unset, ERRORS[resource]["no amount"]]
        elif amount <= 0:
            codes.append(ERRORS[resource]["amount"])
        elif "format" not in given:
            codes.append(ERRORS[resource]["format"])
        else:
            current.setdefault(setting, {})[resource] = {"amount": amount, "format": given["format"]}
    return current, codes


def has_enough(intervals, end, term):
    _, days, minimum_minutes, _, _ = term
    ends = [interval["end"] for interval in intervals]
    counted = 0
    moment, step_seconds = end, 15 * 60
    while moment > end - days * DAY and step_seconds > 0:
        near = [found for found in ends if abs(found - moment) <= 30_000]
        if near:
            nearest = min(near, key=lambda found: (abs(found - moment), -found))
            counted += 15
            step_seconds += math.trunc((moment - nearest) / 1000)
        moment -= step_seconds * 1000
    return counted >= minimum_minutes - 0.5


def hours(kind, intervals, term):
    minutes = sum(interval["end"] - interval["start"] for interval in intervals) / MINUTE
    most = term[1] * 24 * 60.0
    if kind == "namespace":
        return min(half_up(minutes, 1), most) / 60
    return half_up(min(minutes, most) / 60, 2)


def cpu_of(kind, interval):
    usage = values(kind, interval, "cpuUsage")
    throttle = values(kind, interval, "cpuThrottle")
    used = usage["max"] if usage["max"] > 0 else usage["avg"]
    throttled = throttle["max"] if throttle["max"] > 0 else throttle["avg"]
    total = used + throttled
    per_pod = 0.0
    if kind == "container" and total >= 1.0:
        pods = pods_of(interval)
        if pods > 0:
            per_pod = (usage["sum"] + throttle["sum"]) / pods
    return least_positive([per_pod, total, usage["min"] + throttle["min"]]), max(per_pod, total)


def memory_of(kind, interval):
    usage = values(kind, interval, "memoryUsage")
    per_pod = 0.0
    if kind == "container":
        pods = pods_of(interval)
        if pods > 0:
            per_pod = usage["sum"] / pods
    high = max(per_pod, usage["max"])
    return least_positive([per_pod, high, usage["min"]]), high


def spike_of(kind, interval):
    usage = values(kind, interval, "memoryUsage")
    rss = values(kind, interval, "memoryRSS")
    return float(max(math.ceil(usage["max"] - usage["min"]), math.ceil(rss["max"] - rss["min"])))


def pods_of(interval):
    cpu = values("container", interval, "cpuUsage")
    memory = values("container", interval, "memoryUsage")
    pods = 0.0
    if cpu["avg"] != 0:
        pods = cpu["sum"] / cpu["avg"]
    if pods == 0 and memory["avg"] != 0:
        pods = memory["sum"] / memory["avg"]
    return pods


def pods_count(kind, window):
    if kind == "namespace":
        return math.ceil(max(values(kind, interval, "totalPods")["avg"] for interval in window))
    counts = []
    for interval in window:
        usage = values(kind, interval, "cpuUsage")
        pods = usage["sum"] / usage["avg"] if usage["avg"] != 0 else 0.0
        counts.append(math.ceil(min(pods, 2**31 - 1)))
    return max(counts)


def plot(kind, intervals, end, term):
    _, days, _, count, length = term
    start = end - days * DAY
    points = {}
    for number in range(1, count + 1):
        after, until = start + (number - 1) * length, start + number * length
        window = [interval for interval in intervals if after < interval["end"] <= until]
        points[text(until)] = {}
        if window:
            points[text(until)] = {
                "cpuUsage": box([cpu_of(kind, item) for item in window], unit_of(kind, window, "cpu")),
                "memoryUsage": box(
                    [memory_of(kind, item) for item in window], unit_of(kind, window, "memory")
                ),
            }
    return {"datapoints": count, "plots_data": points}


def box(pairs, unit):
    lows, highs = [low for low, _ in pairs], [high for _, high in pairs]
    found = {
        "min": 0.0 if 0 in lows else min(lows),
        "q1": percentile(25, highs),
        "median": percentile(50, highs),
        "q3": percentile(75, highs),
        "max": max(highs),
    }
    return found if unit is None else {**found, "format": unit}


def percentile(percent, numbers):
    return sorted(numbers)[math.floor(percent / 100 * (len(numbers) - 1) + 0.5)]


def least_positive(numbers):
    return min((number for number in numbers if number > 0), default=0.0)


def unit_of(kind, window, resource):
    for interval in window:
        given = interval["metrics"].get(full_name(kind, f"{resource}Usage"), {})
        if "format" in given:
            return given["format"]
    return None


def values(kind, interval, metric):
    given = interval["metrics"].get(full_name(kind, metric), {})
    return {name: given.get(name, 0.0) for name in ("sum", "avg", "min", "max")}


def full_name(kind, metric):
    return metric if kind == "container" else f"namespace{metric[0].upper()}{metric[1:]}"


def half_up(number, digits):
    return float(Decimal(repr(number)).quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP))


def text(moment):
    when = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=moment)
    return f"{when:%Y-%m-%dT%H:%M:%S}.{when.microsecond // 1000:03d}Z"


def notes(codes):
    return {
        str(code): {"type": TYPES[str(code)[0]], "message": MESSAGES[code], "code": code} for code in codes
    }
