"""What items are known by: positions of their own, of their category and their title, and of what comes later."""

from pathlib import Path

import polars as pl

from lifecycle.features.vocabulary import (
    FIRST_KNOWN,
    FIRST_TITLE,
    NONE,
    UNKNOWN,
    Vocabulary,
    VocabularyRules,
    fit_vocabulary,
)

ITEMS = pl.DataFrame(
    {
        "item_id": ["a", "b", "c", "d"],
        "category": ["Tea", "Tea", "Soap", None],
        "title": ["Green tea", "Black tea", "Soap", "Green tea"],
    }
)
COUNTS = pl.DataFrame({"item_id": ["a", "b", "x"], "customers": [5, 2, 9]})
VOCABULARY = fit_vocabulary(COUNTS, ITEMS, VocabularyRules(min_customers=3))


def positions(vocabulary: Vocabulary) -> dict[str, tuple[int, int, int]]:
    """Item, category and title by item_id."""
    rows = vocabulary.table.select("item_id", "item", "category", "title").iter_rows()
    return {name: (item, category, title) for name, item, category, title in rows}


def test_items_that_enough_customers_knew_and_categories_of_known_items_have_positions() -> None:
    # x is bought but not in the catalogue; b is known to too few; c was never met, so soap has no embedding
    assert positions(VOCABULARY) == {
        "a": (FIRST_KNOWN + 1, FIRST_KNOWN, FIRST_TITLE + 1),
        "b": (UNKNOWN, FIRST_KNOWN, FIRST_TITLE),
        "c": (UNKNOWN, UNKNOWN, FIRST_TITLE + 2),
        "d": (UNKNOWN, NONE, FIRST_TITLE + 1),
        "x": (FIRST_KNOWN, NONE, NONE),
    }
    assert (VOCABULARY.num_items, VOCABULARY.num_categories) == (FIRST_KNOWN + 2, FIRST_KNOWN + 1)
    one = fit_vocabulary(COUNTS, ITEMS, VocabularyRules(max_items=1))
    assert one.table.filter(pl.col("item") >= FIRST_KNOWN)["item_id"].to_list() == ["x"]


def test_titles_stand_in_the_order_of_their_positions() -> None:
    assert VOCABULARY.titles == ["Black tea", "Green tea", "Soap"]
    assert VOCABULARY.title_of_item == [NONE, NONE, NONE, FIRST_TITLE + 1]


def test_new_items_of_a_catalogue_have_known_categories_and_titles_and_move_nothing() -> None:
    new = pl.DataFrame(
        {
            "item_id": ["a", "n1", "n2", "n3"],
            "category": ["Soap", "TEA", "Fish", None],
            "title": ["Renamed", "Green tea", "A herring", None],
        }
    )
    later = VOCABULARY.with_catalogue(new)
    known = positions(VOCABULARY)
    assert positions(later) == known | {
        "n1": (UNKNOWN, FIRST_KNOWN, FIRST_TITLE + 1),
        "n2": (UNKNOWN, UNKNOWN, FIRST_TITLE + 3),
        "n3": (UNKNOWN, NONE, NONE),
    }
    assert later.titles == [*VOCABULARY.titles, "A herring"]
    assert (later.num_items, later.num_categories) == (
        VOCABULARY.num_items,
        VOCABULARY.num_categories,
    )
    assert later.with_catalogue(new).table.equals(later.table)


def test_empty_catalogue_has_the_two_positions_of_the_rest() -> None:
    nothing = fit_vocabulary(COUNTS.clear(), ITEMS.clear(), VocabularyRules())
    assert (nothing.num_items, nothing.num_categories, nothing.titles) == (
        FIRST_KNOWN,
        FIRST_KNOWN,
        [],
    )
    assert nothing.with_catalogue(ITEMS).titles == ["Black tea", "Green tea", "Soap"]


def test_vocabulary_comes_back(tmp_path: Path) -> None:
    VOCABULARY.save(tmp_path)
    assert Vocabulary.load(tmp_path).table.equals(VOCABULARY.table)
