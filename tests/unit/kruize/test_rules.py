"""Each rule by itself, with the number it gives."""

import numpy as np
import pytest

from headrace.contracts.kruize import Code
from headrace_services.kruize.notifications import MESSAGES, notifications
from headrace_services.kruize.recommendations import recommend
from headrace_services.kruize.terms import terms_with_enough_data
from headrace_services.kruize.usage import percentile
from tests.unit.kruize.made import END, STEP, container, in_a_row, namespace, series_of
from tests.unit.kruize.plain import DAY


def moment_of(intervals, kind="container", **options):
    (moment,) = recommend(series_of(kind, intervals), **options)["data"].values()
    return moment


def term_of(intervals, kind="container", term="short_term", **options):
    return moment_of(intervals, kind, **options)["recommendation_terms"][term]


def engine_of(intervals, kind="container", engine="cost", **options):
    return term_of(intervals, kind, **options)["recommendation_engines"][engine]


def codes_of(section):
    return set(section["notifications"])


def amounts(section, resource="cpu"):
    return [section[setting][resource]["amount"] for setting in ("requests", "limits")]


@pytest.mark.parametrize(("engine", "expected"), [("cost", 7.0), ("performance", 11.0)])
def test_from_one_core_on_an_engine_takes_its_percentile(engine, expected):
    intervals = [
        container(END - number * STEP, cpuUsage={"max": float(number + 1), "avg": 1.0, "sum": 1.0})
        for number in range(11)
    ]
    assert amounts(engine_of(intervals, engine=engine)["config"]) == [expected, expected]


@pytest.mark.parametrize("engine", ["cost", "performance"])
def test_below_one_core_an_engine_takes_the_highest(engine):
    intervals = [
        container(END - number * STEP, cpuUsage={"max": 0.1 * number + 0.05}) for number in range(10)
    ]
    assert amounts(engine_of(intervals, engine=engine)["config"])[0] == 0.1 * 9 + 0.05


@pytest.mark.parametrize(
    ("percent", "count", "rank"),
    [(60, 11, 6), (98, 97, 94), (98, 26, 25), (50, 2, 1), (100, 5, 4), (25, 1, 0)],
)
def test_a_percentile_is_the_value_of_the_nearest_rank_the_higher_of_two(percent, count, rank):
    assert percentile(percent, np.arange(count, dtype=float)) == rank


def test_one_core_is_not_below_one_core():
    intervals = [container(END - number * STEP, cpuUsage={"max": 1.0 - number / 8}) for number in range(5)]
    assert amounts(engine_of(intervals)["config"])[0] == 0.75


@pytest.mark.parametrize(
    ("usage", "throttle", "expected"),
    [
        ({"max": 0.4, "avg": 0.2}, {"max": 0.3, "avg": 0.1}, 0.4 + 0.3),
        ({"max": 0.0, "avg": 0.2}, {"max": 0.0, "avg": 0.1}, 0.2 + 0.1),
        # Two pods that used three cores between them: one and a half each is less than the highest.
        ({"sum": 3.0, "avg": 1.5, "max": 2.5}, {"sum": 0.0}, 2.5),
        # Two pods by the average, but the sum with what was throttled is more than the highest of one.
        ({"sum": 3.0, "avg": 1.5, "max": 2.5}, {"sum": 3.0}, 3.0),
        ({"sum": 2.0, "avg": 1.0, "max": 1.0}, {"sum": 1.0}, 1.5),
        # Below one core nobody divides by pods.
        ({"sum": 3.0, "avg": 1.5, "max": 0.5}, {"sum": 3.0}, 0.5),
    ],
)
def test_cpu_of_an_interval(usage, throttle, expected):
    intervals = in_a_row(2, cpuUsage=usage, cpuThrottle=throttle)
    assert amounts(engine_of(intervals)["config"])[0] == expected


@pytest.mark.parametrize(
    ("cpu", "memory", "rss", "expected"),
    [
        # A fifth more than the highest
        ({}, {"max": 1000.0, "min": 0.0}, {}, 1200.0),
        # the highest and its spike with a twentieth
        ({}, {"max": 1000.0, "min": 900.0}, {}, 1105.0),
        # a spike is rounded up, and the resident set may have the greater one
        ({}, {"max": 1000.0, "min": 999.5}, {"max": 99.5, "min": 0.0}, 1105.0),
        # the sum for each of the pods, counted by CPU
        ({"sum": 1.0, "avg": 0.5}, {"sum": 3000.0, "max": 1000.0, "min": 0.0}, {}, 1800.0),
        # and by memory when CPU counts none
        ({"sum": 0.0, "avg": 0.0}, {"sum": 3000.0, "avg": 1500.0, "max": 1.0, "min": 1.0}, {}, 1500.0),
        ({"sum": 0.0, "avg": 0.5}, {"sum": 3000.0, "avg": 1500.0, "max": 1.0, "min": 1.0}, {}, 1500.0),
    ],
)
def test_memory_of_an_interval(cpu, memory, rss, expected):
    intervals = in_a_row(2, cpuUsage=cpu, memoryUsage=memory, memoryRSS=rss)
    assert amounts(engine_of(intervals)["config"], "memory")[0] == expected


@pytest.mark.parametrize(
    ("cores", "code"), [(0.0, "323002"), (1e-9, "323001"), (0.001, "323001"), (0.0011, None)]
)
def test_hardly_any_cpu_gives_a_notice_and_no_section(cores, code):
    usage = {"sum": cores, "avg": cores, "min": cores, "max": cores}
    engine = engine_of(in_a_row(2, cpuUsage=usage))
    assert codes_of(engine) & {"323001", "323002"} == ({code} if code else set())
    for section in ("config", "variation"):
        assert set(engine[section]["limits"]) == ({"memory"} if code else {"cpu", "memory"})


def test_no_memory_gives_a_notice_and_no_section():
    nothing = {"sum": 0.0, "avg": 0.0, "min": 0.0, "max": 0.0}
    engine = engine_of(in_a_row(2, memoryUsage=nothing, memoryRSS=nothing))
    assert codes_of(engine) == {"324001"}
    assert set(engine["config"]["requests"]) == set(engine["variation"]["requests"]) == {"cpu"}


def test_memory_with_only_a_minimum_gives_no_section():
    lowest = {"min": 50.0, "format": "bytes"}
    intervals = in_a_row(2, memoryUsage=None, memoryRSS=None)
    for interval in intervals:
        interval["metrics"] |= {"memoryUsage": lowest, "memoryRSS": lowest}
    engine = engine_of(intervals)
    assert codes_of(engine) == set()
    assert set(engine["config"]["limits"]) == {"cpu"}


def test_nothing_used_at_all_leaves_both_sections_empty():
    engine = engine_of(in_a_row(2, cpuUsage=None, memoryUsage=None, memoryRSS=None))
    assert codes_of(engine) == {"221001", "323002", "324001"}
    assert (engine["config"], engine["variation"], engine["pods_count"]) == ({}, {}, 0)


def test_a_thousandth_is_the_default_threshold():
    just = in_a_row(2, cpuRequest={"avg": 0.5004}, memoryRequest={"avg": 100.05})
    assert codes_of(engine_of(just)) == {"323004", "324003"}
    above = in_a_row(2, cpuRequest={"avg": 0.506}, memoryRequest={"avg": 100.2})
    assert codes_of(engine_of(above)) == set()


@pytest.mark.parametrize("threshold", [None, 0.0, -5.0])
def test_a_threshold_that_is_none_means_the_default(threshold):
    intervals = in_a_row(2, cpuRequest={"avg": 0.506})
    assert codes_of(engine_of(intervals, threshold_percent=threshold)) == set()
    assert codes_of(engine_of(intervals, threshold_percent=2.0)) == {"323004"}


def test_a_change_of_just_the_threshold_is_none():
    intervals = in_a_row(2, cpuRequest={"avg": 0.25}, cpuLimit=None, memoryRequest=None, memoryLimit=None)
    assert codes_of(engine_of(intervals, threshold_percent=100.0)) == {"323004"}
    assert codes_of(engine_of(intervals, threshold_percent=99.9)) == set()


@pytest.mark.parametrize(
    ("request_cores", "limit_cores", "config", "variation", "codes"),
    [
        (0.5, 2.0, [0.5, 0.5], [0.0, -1.5], {"323004"}),
        # What is set stands in both places, the other's distance is from what was computed.
        (0.505, 2.0, [0.505, 0.505], [0.0, -1.5], {"323004"}),
        (1.0, 0.495, [0.495, 0.495], [-0.5, 0.0], {"323005"}),
        (0.505, 0.495, [0.495, 0.495], [0.0, 0.0], {"323004", "323005"}),
    ],
)
def test_request_and_limit_are_one_number(request_cores, limit_cores, config, variation, codes):
    intervals = in_a_row(2, cpuRequest={"avg": request_cores}, cpuLimit={"avg": limit_cores})
    engine = engine_of(intervals, threshold_percent=2.0)
    assert amounts(engine["config"]) == config
    assert amounts(engine["variation"]) == variation
    assert codes_of(engine) == codes


@pytest.mark.parametrize(
    ("metric", "setting", "resource", "codes"),
    [
        ("cpuRequest", "requests", "cpu", {"523001", "223001"}),
        ("cpuLimit", "limits", "cpu", {"423001", "223001"}),
        ("memoryRequest", "requests", "memory", {"524001", "224001"}),
        ("memoryLimit", "limits", "memory", {"524002", "224001"}),
    ],
)
def test_what_is_not_set_is_said_and_left_out(metric, setting, resource, codes):
    # Only the newest interval counts.
    moment = moment_of([container(END - STEP), container(**{metric: None})])
    assert codes_of(moment) - {"111101"} == codes
    assert resource not in moment["current"][setting]
    engine = moment["recommendation_terms"]["short_term"]["recommendation_engines"]["cost"]
    assert engine["variation"][setting][resource] == engine["config"][setting][resource]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"cpuRequest": {"avg": 0.0}}, "223002"),
        ({"cpuLimit": {"format": ""}}, "223004"),
        ({"memoryLimit": {"avg": 0.0, "format": ""}}, "224002"),
        ({"memoryRequest": {"format": ""}}, "224004"),
    ],
)
def test_what_is_set_wrongly_is_said_and_left_out(changes, code):
    moment = moment_of([container(END - STEP), container(**changes)])
    assert codes_of(moment) == {"111101", code}
    assert sum(len(section) for section in moment["current"].values()) == 3


def test_nothing_set_leaves_current_empty():
    changes = dict.fromkeys(("cpuRequest", "cpuLimit", "memoryRequest", "memoryLimit"))
    assert moment_of(in_a_row(2, **changes))["current"] == {}


def test_without_a_unit_there_is_no_section():
    engine = engine_of(in_a_row(2, cpuUsage={"format": ""}, memoryUsage={"format": ""}))
    assert codes_of(engine) == {"223003", "224003"}
    assert (engine["config"], engine["variation"]) == ({}, {})


def test_the_unit_is_the_first_that_was_given():
    intervals = [
        container(END - 2 * STEP, memoryUsage={"format": ""}),
        container(END - STEP, memoryUsage={"format": "MiB"}),
        container(END, memoryUsage={"format": "GiB"}),
    ]
    assert engine_of(intervals)["config"]["limits"]["memory"]["format"] == "MiB"


def test_pods_are_the_most_in_the_window_rounded_up():
    intervals = [
        container(END - STEP, cpuUsage={"sum": 1.3, "avg": 0.5}),
        container(END, cpuUsage={"sum": 0.5, "avg": 0.5}),
    ]
    engine = engine_of(intervals)
    assert engine["pods_count"] == 3
    assert codes_of(engine) == set()


def test_a_term_includes_both_its_ends():
    intervals = in_a_row(97)
    intervals[-1]["metrics"]["cpuUsage"]["max"] = 0.9
    assert amounts(engine_of(intervals)["config"])[0] == 0.9
    intervals[-1]["end"] -= 1
    assert amounts(engine_of(intervals)["config"])[0] == 0.5


def test_a_plot_has_an_empty_point_where_nothing_was_measured():
    # The oldest lies on the term's start: the engines see it, no window of the plot does.
    intervals = [container(END - DAY), container(END - STEP), container(END)]
    drawn = term_of(intervals)["plots"]
    assert drawn["datapoints"] == 4
    assert list(drawn["plots_data"].items())[:3] == [
        ("2023-06-02T06:45:00.000Z", {}),
        ("2023-06-02T12:45:00.000Z", {}),
        ("2023-06-02T18:45:00.000Z", {}),
    ]
    assert set(drawn["plots_data"]["2023-06-03T00:45:00.000Z"]) == {"cpuUsage", "memoryUsage"}


def test_the_five_numbers_of_a_plot():
    intervals = [
        container(END - number * STEP, cpuUsage={"max": 0.9 - number / 10, "min": 0.4, "avg": 0.5})
        for number in range(4)
    ]
    point = term_of(intervals)["plots"]["plots_data"]["2023-06-03T00:45:00.000Z"]
    assert point["cpuUsage"] == {
        "min": 0.4, "q1": 0.7, "median": 0.8, "q3": 0.8, "max": 0.9, "format": "cores",
    }  # fmt: skip


def test_an_interval_without_use_makes_the_least_of_a_plot_zero():
    nothing = {"sum": 0.0, "avg": 0.0, "min": 0.0, "max": 0.0}
    intervals = [container(END - STEP, cpuUsage=nothing), container(END)]
    point = term_of(intervals)["plots"]["plots_data"]["2023-06-03T00:45:00.000Z"]
    assert point["cpuUsage"]["min"] == 0.0


def test_plots_can_be_left_out():
    assert "plots" not in term_of(in_a_row(2), plots=False)


def test_hours_of_a_container_have_two_digits():
    short = in_a_row(2)
    short[0]["start"] += 54_000  # 29.1 minutes are 0.485 hours, and a half goes up
    assert term_of(short)["duration_in_hours"] == 0.49
    assert term_of(in_a_row(200))["duration_in_hours"] == 24.0


def test_minutes_of_a_namespace_have_one_digit():
    intervals = in_a_row(2, make=namespace)
    intervals[0]["start"] += 1000
    assert term_of(intervals, "namespace")["duration_in_hours"] == 30.0 / 60
    intervals[0]["start"] += 3000
    assert term_of(intervals, "namespace")["duration_in_hours"] == 29.9 / 60


def test_the_minimum_needs_no_data_in_a_row():
    intervals = [container(END - number * 2 * STEP) for number in range(192)]
    terms = moment_of(intervals)["recommendation_terms"]
    assert codes_of(terms["medium_term"]) == {"112101", "112102"}
    assert terms["long_term"] == {
        "duration_in_hours": 48.0,
        "notifications": notifications([Code.NOT_ENOUGH_DATA]),
    }
    terms = moment_of(intervals[:-1])["recommendation_terms"]
    assert codes_of(terms["medium_term"]) == {"120001"}


@pytest.mark.parametrize(("seconds", "passes"), [(0, True), (30, True), (31, False)])
def test_an_end_may_be_off_by_half_a_minute(seconds, passes):
    found = recommend(series_of("container", [container(END - STEP - seconds * 1000), container(END)]))
    assert bool(found["data"]) == passes


@pytest.mark.parametrize(
    ("late_ms", "steps", "passes"),
    [
        (0, 6, True),
        (15_000, 2, True),
        (15_000, 4, False),
        (-15_000, 4, False),
        # Whole seconds only, and towards zero.
        (999, 100, True),
        (1000, 30, True),
        (1000, 32, False),
        (-1999, 30, True),
        (-1999, 32, False),
    ],
)
def test_an_end_that_is_off_shifts_all_steps_before_it(late_ms, steps, passes):
    # Two ends, then nothing for so many steps, then just enough for the medium term where steps would be.
    rest = [END - STEP - number * STEP for number in range(steps, steps + 190)]
    ends = np.array(sorted([END, END - STEP - late_ms, *rest]), np.int64)
    assert ("medium_term" in terms_with_enough_data(ends)) == passes


def test_of_two_ends_as_near_the_later_counts():
    # Ten seconds early makes the steps ten seconds shorter; from then on the ends follow that.
    pair = [END - STEP - 10_000, END - STEP + 10_000]
    rest = [END - STEP - number * (STEP - 10_000) for number in range(21, 211)]
    assert "medium_term" in terms_with_enough_data(np.array(sorted([END, *pair, *rest]), np.int64))


def test_a_namespace_has_its_own_rules():
    intervals = in_a_row(
        2,
        make=namespace,
        namespaceCpuUsage={"max": 3.0, "sum": 100.0},
        namespaceCpuThrottle={"max": 0.0, "avg": 0.5},
        namespaceMemoryUsage={"max": 1000.0, "min": 990.0, "sum": 9e9},
        namespaceMemoryRSS={"max": 900.0, "min": 800.0},
    )
    moment = moment_of(intervals, "namespace")
    assert moment["current"] == {
        "requests": {
            "cpu": {"amount": 1.0, "format": "cores"},
            "memory": {"amount": 200.0, "format": "bytes"},
        },
        "limits": {"cpu": {"amount": 2.0, "format": "cores"}, "memory": {"amount": 400.0, "format": "bytes"}},
    }
    term = moment["recommendation_terms"]["short_term"]
    engine = term["recommendation_engines"]["performance"]
    assert amounts(engine["config"]) == [3.5, 3.5]
    assert amounts(engine["config"], "memory") == [1105.0, 1105.0]
    assert engine["pods_count"] == 2
    point = term["plots"]["plots_data"]["2023-06-03T00:45:00.000Z"]
    assert point["cpuUsage"]["min"] == 0.1
    assert point["memoryUsage"]["min"] == 990.0


def test_a_namespace_without_pods_says_so():
    intervals = in_a_row(2, make=namespace, namespaceTotalPods=None)
    engine = engine_of(intervals, "namespace")
    assert engine["pods_count"] == 0
    assert codes_of(engine) == {"221001"}


def test_the_kind_of_a_notification_is_its_first_digit():
    kinds = {"1": "info", "2": "error", "3": "notice", "4": "warning", "5": "critical"}
    section = notifications(Code)
    assert len(section) == len(Code) == len(MESSAGES)
    for key, entry in section.items():
        assert entry == {"type": kinds[key[0]], "message": MESSAGES[Code(int(key))], "code": int(key)}
