"""What serves, fitted once more to the outcomes of the test customers."""

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from lifecycle.artifact import load_artifact
from lifecycle.features import FEATURES
from lifecycle.history import KEYS
from lifecycle.value.baselines import fit_btyd, fit_lightgbm, lightgbm_value
from lifecycle.value.hurdle import hurdle_value
from lifecycle.value.stack import MemberShare, stack_value
from tests.conftest import TinyShop
from training.arena_cheap import Fitted, cheap_entries
from training.arena_entries import ExampleSets, read_example_sets
from training.arena_refit import refitted
from training.evaluate import EvaluateConfig, evaluate

MODELS = ("bgnbd_gg", "lightgbm", "hurdle", "stack")
HALF = MemberShare(1.0, 0.5)


@pytest.fixture(scope="module")
def sets(tiny_shop: TinyShop) -> ExampleSets:
    return read_example_sets(tiny_shop.examples)


@pytest.fixture(scope="module")
def judged(sets: ExampleSets) -> Fitted:
    """The models as they are judged, the hurdle and an encoder in the stack with a share of a half each."""
    _, fitted = cheap_entries(sets, MODELS, seed=0)
    assert fitted.stack is not None
    return replace(fitted, stack=replace(fitted.stack, others={"hurdle": HALF}, members={"text_llama": HALF}))


def test_latest_customers_are_those_known_where_outcomes_end(sets: ExampleSets) -> None:
    assert sets.latest is not None and sets.latest.columns == [*KEYS, *FEATURES]
    end = sets.test["cutoff"][0] + timedelta(days=sets.horizon_days)
    assert sets.latest["cutoff"].unique().to_list() == [end]
    assert set(sets.latest["customer_id"]) >= set(sets.test["customer_id"])
    both = sets.test.join(sets.latest, on="customer_id", suffix="_later")
    assert both["total_spend_later"].to_numpy() == pytest.approx((both["total_spend"] + both["target"]).to_numpy())


def test_models_learn_from_the_outcomes_of_the_test_customers(sets: ExampleSets, judged: Fitted) -> None:
    again = refitted(judged, sets, seed=0)
    assert again.lightgbm is not None and again.stack is not None and again.ziln is None and sets.latest is not None
    all_rows = pl.concat([sets.train, sets.selection, sets.test])
    expected = lightgbm_value(fit_lightgbm(all_rows, seed=0), sets.latest)
    np.testing.assert_array_equal(lightgbm_value(again.lightgbm, sets.latest), expected)
    btyd = fit_btyd(sets.latest, ("bgnbd_gg",))
    assert again.btyd_models == btyd and again.stack.btyd == btyd["bgnbd_gg"]


def test_shares_stay_and_the_cheap_models_are_brought_to_the_new_total(sets: ExampleSets, judged: Fitted) -> None:
    again = refitted(judged, sets, seed=0)
    assert again.stack is not None and again.hurdle is not None and sets.latest is not None
    assert again.stack.members == {"text_llama": HALF} and again.stack.others["hurdle"].share == 0.5
    by_hurdle = hurdle_value(again.hurdle, sets.latest)
    alone = stack_value(replace(again.stack, others={}), sets.latest)
    assert again.stack.others["hurdle"].scale * by_hurdle.sum() == pytest.approx(alone.sum())


def test_customers_whom_no_btyd_model_fits_leave_the_judged_models(
    sets: ExampleSets, judged: Fitted, caplog: pytest.LogCaptureFixture
) -> None:
    assert sets.latest is not None
    once = sets.latest.with_columns(btyd_frequency=pl.lit(0.0), btyd_recency=pl.lit(0.0))
    assert refitted(judged, replace(sets, latest=once), seed=0) is judged
    assert "refit is left out" in caplog.text


def test_what_was_judged_stays_and_what_serves_is_another(tiny_shop: TinyShop, tmp_path: Path) -> None:
    places = {"data": tiny_shop.data, "examples": tiny_shop.examples}
    for name, refit in (("as_judged", False), ("again", True)):
        changes = {"models": MODELS, "num_resamples": 20, "refit": refit, "output": tmp_path / name}
        evaluate(EvaluateConfig.model_validate(places | changes))
    results = [json.loads((tmp_path / name / "metrics.json").read_text()) for name in ("as_judged", "again")]
    as_judged, again = (found["models"]["stack"]["rmse"] for found in results)
    assert as_judged == again
    ends = [found["refitted_at"] for found in results]
    assert ends[0] is None and f"to outcomes until {ends[1]}" in (tmp_path / "again" / "report.html").read_text()
    before, after = (load_artifact(tmp_path / name / "artifact") for name in ("as_judged", "again"))
    assert before.btyd_models != after.btyd_models and before.settings == after.settings
    assert (before.manifest["refitted_at"], after.manifest["refitted_at"]) == (None, ends[1])
