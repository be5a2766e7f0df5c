import glob
import os
import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from insights.core.exceptions import ContentException

from headrace.archives import ArchiveRejected
from headrace.rules.evaluation.tree import Tree
from tests.calibration import Calibration

parts = st.sampled_from(["a", "b", "ab", ".h", "c.txt", "[x]"])
paths = st.lists(parts, min_size=1, max_size=3).map("/".join)
targets = st.lists(st.sampled_from(["a", "b", "..", ".", "c.txt"]), min_size=1, max_size=4).map("/".join)
patterns = st.lists(
    st.sampled_from(["a", "b", "*", "?", ".*", "a*", "*.txt", "[ab]", "[!a]", "nowhere", "c.txt", "**"]),
    min_size=1,
    max_size=4,
).map("/".join)


def built(files: list[str], links: dict[str, str], root: Path) -> Tree:
    """The same tree in memory and on disk; what does not fit is left out of both."""
    tree = Tree()
    for path in files:
        try:
            tree.add_file(path, [path.encode()])
        except ArchiveRejected:
            continue
        Path(root, path).parent.mkdir(parents=True, exist_ok=True)
        Path(root, path).write_text(path)
    for path, target in links.items():
        try:
            tree.add_link(path, target)
        except ArchiveRejected:
            continue
        Path(root, path).parent.mkdir(parents=True, exist_ok=True)
        Path(root, path).symlink_to(target)
    return tree


def is_inside(path: Path, root: Path) -> bool:
    return f"{os.path.realpath(path)}/".startswith(f"{root}/")


def parents(path: Path, root: Path) -> list[Path]:
    above = path.relative_to(root).parents
    return [root / parent for parent in above]


@settings(max_examples=150, deadline=None)
@given(
    st.lists(paths, max_size=6),
    st.dictionaries(paths, targets, max_size=3),
    st.lists(patterns, min_size=1, max_size=8),
)
def test_it_is_read_as_the_same_files_on_disk(files, links, asked):
    with tempfile.TemporaryDirectory() as name:
        root = Path(os.path.realpath(name))
        tree = built(files, links, root)
        for pattern in asked:
            found = tree.glob("", pattern)
            on_disk = [Path(path) for path in glob.glob(f"{root}/{pattern}")]  # noqa: PTH207
            inside = [
                path for path in on_disk if all(is_inside(parent, root) for parent in parents(path, root))
            ]
            assert found == sorted(str(path.relative_to(root)) for path in inside)
            for path in found:
                if not is_inside(root / path, root):
                    assert tree.resolve(path) is None
                    continue
                there = root / path
                resolved = tree.resolve(path)
                assert (resolved is not None and tree.exists(resolved)) == there.exists()
                assert tree.is_directory(path) == there.is_dir()
                assert tree.read(path) == (there.read_bytes() if there.is_file() else None)
                listed = tree.list_directory(path)
                assert (None if listed is None else sorted(listed)) == (
                    sorted(one.name for one in there.iterdir()) if there.is_dir() else None
                )


@pytest.mark.parametrize(
    ("links", "path", "resolved"),
    [
        ({"l": "a/f"}, "l", "a/f"),
        ({"l": "a"}, "l/f", "a/f"),
        ({"a/l": "../a/../b"}, "a/l/x", "b/x"),
        ({"l": "/a/f"}, "l", None),
        ({"l": "../a/f"}, "l", None),
        ({"l": "l"}, "l", None),
        ({"l": "m", "m": "l"}, "l/f", None),
        ({"l": "a/./f"}, "l", "a/f"),
        ({}, "a/../../a/f", None),
        ({}, "./a//f", "a/f"),
        ({}, "nowhere/at/all", "nowhere/at/all"),
    ],
)
def test_links_lead_inside_the_tree_or_nowhere(links, path, resolved):
    tree = Tree()
    tree.add_file("a/f", [b""])
    for name, target in links.items():
        tree.add_link(name, target)
    assert tree.resolve(path) == resolved


def test_a_chain_of_links_ends():
    tree = Tree()
    tree.add_file("0", [b"e", b"nd"])
    for number in range(1, 60):
        tree.add_link(str(number), str(number - 1))
    assert tree.read("40") == b"end"
    assert tree.read("41") is None


def test_tangled_links_cost_little():
    tree = Tree()
    tree.add_file("d/f", [b"1"])
    for number in range(5000):
        tree.add_link(f"d/l{number}", "x/../" * 10 + f"l{number - 1}" if number % 40 else "../d/" * 100)
    machine = Calibration()
    began = time.process_time()
    tree.glob("", "d/*/nothing*")
    with pytest.raises(ContentException, match="more than 100000 paths"):
        tree.glob("", "d/*/*")
    for number in range(5000):
        tree.read(f"d/l{number}/f")
    used = time.process_time() - began
    assert used < machine.cpu(5)


@pytest.mark.parametrize(("first", "second"), [("a", "a/b"), ("a/b", "a"), ("a", "a")])
@pytest.mark.parametrize("kind", ["file", "link"])
def test_a_name_is_one_thing_only(first, second, kind):
    tree = Tree()
    tree.add_file(first, []) if kind == "file" else tree.add_link(first, "x")
    with pytest.raises(ArchiveRejected):
        tree.add_file(second, [])
