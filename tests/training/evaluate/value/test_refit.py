"""What serves, fitted once more to the outcomes of the test customers."""

import json
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from lifecycle.artifact.files import load_artifact
from lifecycle.btyd.model import fit_btyd
from lifecycle.events.history import KEYS
from lifecycle.features.numbers import FEATURES
from lifecycle.features.standing import STANDING
from lifecycle.spend.models import SpendModels
from lifecycle.spend.stack import MemberShare, stack_value
from lifecycle.spend.trees import LightGbm
from tests.builders import NO_DATA, TinyShop, past
from training.evaluate.job import evaluate
from training.evaluate.recipe import EvaluateConfig
from training.evaluate.value.cheap import cheap_forecasts
from training.evaluate.value.refit import refitted
from training.evaluate.value.windows import ExampleSets, read_example_sets, read_rows
from training.prepare.dataset import LATEST, read_dataset
from training.score.job import score
from training.score.recipe import ScoreConfig

MODELS = ("bgnbd_gg", "lightgbm", "hurdle", "stack")
HALF = MemberShare(1.0, 0.5)


@pytest.fixture(scope="module")
def sets(tiny_shop: TinyShop) -> ExampleSets:
    return read_example_sets(tiny_shop.examples)


@pytest.fixture(scope="module")
def judged(sets: ExampleSets) -> SpendModels:
    """The models as they are judged, the hurdle and an encoder in the stack with a share of a half each."""
    fitted = cheap_forecasts(sets, MODELS, 0, NO_DATA)[1].test
    assert fitted.stack is not None
    return replace(
        fitted, stack=replace(fitted.stack, others={"hurdle": HALF}, members={"text_llama": HALF})
    )


@pytest.fixture(scope="module")
def latest(tiny_shop: TinyShop) -> pl.DataFrame:
    return read_rows(tiny_shop.examples, LATEST)


def test_latest_customers_are_those_known_where_outcomes_end(
    sets: ExampleSets, latest: pl.DataFrame
) -> None:
    assert latest.columns == [*KEYS, *FEATURES, *STANDING]
    end = sets.test["cutoff"][0] + timedelta(days=sets.horizon_days)
    assert latest["cutoff"].unique().to_list() == [end]
    assert set(latest["customer_id"]) >= set(sets.test["customer_id"])
    both = sets.test.join(latest, on="customer_id", suffix="_later")
    assert both["total_spend_later"].to_numpy() == pytest.approx(
        (both["total_spend"] + both["target"]).to_numpy()
    )


def test_models_learn_from_the_outcomes_of_the_test_customers(
    sets: ExampleSets, latest: pl.DataFrame, judged: SpendModels
) -> None:
    again = refitted(judged, sets, latest, 0, NO_DATA)
    assert again.stack is not None and set(again.single) == {"lightgbm", "hurdle"}
    all_rows = pl.concat([sets.train, sets.selection, sets.test])
    expected = LightGbm.fit(past(all_rows), seed=0).expected_spend(latest)
    np.testing.assert_array_equal(again.expected_spend("lightgbm", latest), expected)
    btyd = fit_btyd(latest, ("bgnbd_gg",))
    assert again.btyd == btyd and again.stack.btyd == btyd["bgnbd_gg"]


def test_shares_stay_and_models_are_brought_to_the_new_total(
    sets: ExampleSets, latest: pl.DataFrame, judged: SpendModels
) -> None:
    again = refitted(judged, sets, latest, 0, NO_DATA)
    assert again.stack is not None and judged.stack is not None
    other, member = again.stack.others["hurdle"], again.stack.members["text_llama"]
    assert other.share == member.share == 0.5
    before, after = replace(judged.stack, others={}), replace(again.stack, others={})
    assert other.scale * again.expected_spend("hurdle", latest).sum() == pytest.approx(
        stack_value(after, latest).sum()
    )
    assert member.scale == pytest.approx(
        stack_value(after, sets.test).sum() / stack_value(before, sets.test).sum()
    )


def test_btyd_that_fits_first_to_the_later_customers_comes_with_the_stack(
    sets: ExampleSets, latest: pl.DataFrame
) -> None:
    once = replace(
        sets, test=sets.test.with_columns(btyd_frequency=pl.lit(0.0), btyd_recency=pl.lit(0.0))
    )
    fitted = cheap_forecasts(once, ("stack",), 0, NO_DATA)[1].test
    assert fitted.btyd == {} and fitted.stack is not None and fitted.stack.btyd is None
    again = refitted(fitted, once, latest, 0, NO_DATA)
    assert again.stack is not None and again.stack.btyd == again.btyd["bgnbd_gg"]


@pytest.mark.integration
def test_what_was_judged_stays_and_what_serves_is_another(
    tiny_shop: TinyShop, tmp_path: Path
) -> None:
    places = {"data": tiny_shop.data, "examples": tiny_shop.examples}
    for name, refit in (("as_judged", False), ("again", True)):
        changes = {"models": MODELS, "num_resamples": 20, "refit": refit, "output": tmp_path / name}
        evaluate(EvaluateConfig.model_validate(places | changes))
    results = [
        json.loads((tmp_path / name / "metrics.json").read_text())
        for name in ("as_judged", "again")
    ]
    as_judged, again = (found["models"]["stack"]["rmse"] for found in results)
    assert as_judged == again
    ends = [found["refitted_at"] for found in results]
    assert (
        ends[0] is None
        and f"to outcomes until {ends[1]}" in (tmp_path / "again" / "report.html").read_text()
    )
    before, after = (load_artifact(tmp_path / name / "artifact") for name in ("as_judged", "again"))
    assert before.models.btyd != after.models.btyd
    assert before.settings == replace(after.settings, thresholds=before.settings.thresholds)
    assert (before.manifest.refitted_at, after.manifest.refitted_at) == (None, ends[1])
    cutoff = read_dataset(tiny_shop.examples).test_cutoff
    assert (before.manifest.segments_as_of, after.manifest.segments_as_of) == (str(cutoff), ends[1])
    assert after.manifest.segment_thresholds == after.settings.thresholds
    again_at = date.fromisoformat(ends[1])
    assert _segments_at(tmp_path / "again" / "artifact", tiny_shop, again_at) == pytest.approx(
        {"top": 0.05, "high": 0.15, "middle": 0.3, "low": 0.5}, abs=0.005
    )
    as_judged = _segments_at(tmp_path / "as_judged" / "artifact", tiny_shop, again_at)
    assert as_judged["top"] != pytest.approx(0.05, abs=0.005), "the old thresholds would not do"


def _segments_at(artifact: Path, shop: TinyShop, as_of: date) -> dict[str, float]:
    """The share of each segment among all customers who have bought, as they are scored."""
    output = artifact.parent / "scores"
    score(ScoreConfig(data=shop.data, artifact=artifact, as_of=as_of, output=output))
    scores = pl.read_parquet(output / "scores.parquet").filter(pl.col("stage") != "acquisition")
    counts = scores["segment"].value_counts(normalize=True, name="share")
    return dict(counts.iter_rows())
