"""What differs between two recipes is told key by key, with both values."""

from lifecycle.differences import content, differences


def test_each_key_that_differs_is_told_with_both_values() -> None:
    before = {
        "batch": 8,
        "optimizer": {"rate": 0.1, "decay": 0.0},
        "sources": [{"path": "a"}, {"path": "b"}],
        "same": None,
        "gone": 1,
        "short": [1],
    }
    now = {
        "batch": 16,
        "optimizer": {"rate": 0.2, "decay": 0.0},
        "sources": [{"path": "a"}, {"path": "c"}],
        "same": None,
        "short": [1, 2],
        "new": {"rank": 4},
    }
    assert list(differences(before, now)) == [
        "batch was 8 and is 16",
        "optimizer.rate was 0.1 and is 0.2",
        'sources.1.path was "b" and is "c"',
        "gone was 1 and is absent",
        "short was [1] and is [1, 2]",
        'new was absent and is {"rank": 4}',
    ]


def test_equal_trees_do_not_differ_and_long_values_are_cut() -> None:
    assert not list(differences({"a": [1, {"b": None}]}, {"a": [1, {"b": None}]}))
    [told] = differences({"a": "x" * 500}, {"a": "y"})
    assert told.startswith('a was "xxx') and told.endswith('... and is "y"') and len(told) < 120


def test_content_is_told_by_the_beginning_of_its_fingerprint() -> None:
    assert content("data", "0123456789abcdef") == {"content of data": "0123456789ab"}
    assert content("base_model", None) == {"content of base_model": None}
