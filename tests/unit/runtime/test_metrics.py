from headrace.runtime.metrics import Capped


def test_a_capped_label_keeps_what_came_first_and_makes_one_of_the_rest():
    label = Capped(r"[a-z0-9.]{1,8}", most=3)
    assert [label(value) for value in ("1.0", "1.1", "é", "x" * 9, "a\n", "1.2", "1.3", "1.0")] == [
        "1.0", "1.1", "other", "other", "other", "1.2", "other", "1.0",
    ]  # fmt: skip
    for number in range(20_000):
        label(str(number))
    assert len(label._seen) == 3
