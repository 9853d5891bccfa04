"""Every ranker of histories: its usual setting, its files, and rows that do not depend on the batch."""

from pathlib import Path

import numpy as np
import pytest

from lifecycle.recommend.histories import order_counts
from lifecycle.recommend.neighbours import nearest_neighbours
from lifecycle.recommend.scorers import ranker
from lifecycle.recommend.scorers.files import load_arrays, save_arrays
from lifecycle.recommend.scorers.grids import KINDS
from lifecycle.recommend.scorers.ranker import Past
from tests.lifecycle.recommend.builders import histories_of, random_customers

CUSTOMERS = random_customers(3)
HISTORIES = histories_of(CUSTOMERS, 20)
PAST = Past(HISTORIES, nearest_neighbours((order_counts(HISTORIES) > 0).astype(float), 5))


@pytest.mark.parametrize("name", KINDS)
def test_what_is_read_from_files_says_the_same_and_rows_stand_alone(
    name: str, tmp_path: Path
) -> None:
    kind = KINDS[name]
    fitted = kind.fit(PAST, **kind.settings[0])
    save_arrays(tmp_path, name, fitted)
    again = load_arrays(tmp_path, name, kind.kept_as)
    assert type(again) is kind.kept_as is type(fitted)
    expected = fitted.scores(HISTORIES).toarray()
    np.testing.assert_array_equal(again.scores(HISTORIES).toarray(), expected)
    alone = [again.scores(histories_of([one], 20)).toarray()[0] for one in CUSTOMERS]
    np.testing.assert_array_equal(np.stack(alone), expected)
    assert (expected >= 0).all() and expected[:-1].any(axis=1).all() and not expected[-1].any()


@pytest.mark.parametrize("name", KINDS)
def test_offered_items_are_scored_however_many_others_score_better(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = KINDS[name]
    fitted = kind.fit(PAST, **kind.settings[0])
    offered = np.arange(20) % 3 == 1
    expected = np.where(offered, fitted.scores(HISTORIES).toarray(), 0.0)
    monkeypatch.setattr(ranker, "KEPT_ITEMS", 2)
    found = fitted.scores(HISTORIES, offered).toarray()
    kept = np.where(found > 0, found, -np.inf).max(axis=1)
    best = np.where(expected > 0, expected, -np.inf).max(axis=1)
    np.testing.assert_array_equal(kept, best)
    assert ((found > 0).sum(axis=1) >= np.minimum((expected > 0).sum(axis=1), 2)).all()
    assert not found[:, ~offered].any()


def test_settings_are_all_of_the_grid_the_usual_one_first() -> None:
    settings = KINDS["decayed_frequency"].settings
    assert settings[0] == {"half_life_days": 90.0} and {"half_life_days": np.inf} in settings
    assert len(KINDS["tifu_knn"].settings) == np.prod(
        [len(values) for values in KINDS["tifu_knn"].grid.values()]
    )
