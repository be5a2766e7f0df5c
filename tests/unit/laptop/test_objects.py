import pytest

from headrace.laptop.objects import Place
from headrace.runtime.errors import ConfigurationError


@pytest.mark.parametrize(
    ("text", "place", "is_whole"),
    [
        ("myminio/ros-data/", Place("ros-data", ""), False),
        ("any/ros-data", Place("ros-data", ""), False),
        ("any/ros-data/a/b.csv", Place("ros-data", "a/b.csv"), True),
        ("any/ros-data/a/", Place("ros-data", "a/"), False),
    ],
)
def test_a_place_is_a_bucket_and_a_key(text: str, place: Place, is_whole: bool) -> None:
    assert Place.parse(text) == place
    assert place.is_whole is is_whole


@pytest.mark.parametrize("text", ["", "myminio", "myminio/"])
def test_a_place_needs_a_bucket(text: str) -> None:
    with pytest.raises(ConfigurationError, match="expected ALIAS/bucket/key"):
        Place.parse(text)
