"""What fine-tuning bought: useful models are told from useless ones, in both directions."""

import numpy as np
import polars as pl

from lifecycle.features.numbers import FEATURES
from lifecycle.features.standardisation import ColumnScale, Standardisation, StandardisationRules
from training.evaluate.value.untrained import PROBE, PROBE_SAME_LAYERS, RIDGE, fine_tuning_verdict
from training.evaluate.value.windows import ExampleSets

NUM_TRAIN, NUM_TEST, NUM_SAMPLE = 400, 500, 300


def shop(generator: np.random.Generator, num_rows: int) -> pl.DataFrame:
    """Customers whose features say nothing of what they spend."""
    features = {name: np.zeros(num_rows) for name in FEATURES}
    return pl.DataFrame(features | {"target": generator.gamma(1.0, 20.0, num_rows)})


def test_verdict_tells_useful_models_from_useless_ones() -> None:
    generator = np.random.default_rng(0)
    train, test = shop(generator, NUM_TRAIN), shop(generator, NUM_TEST)
    sample = np.sort(generator.choice(NUM_TEST, NUM_SAMPLE, replace=False))
    spent = test["target"].to_numpy()
    known = np.concatenate([train["target"].to_numpy(), spent[sample]])
    noise = generator.normal(size=(NUM_TRAIN + NUM_SAMPLE, 6))
    telling = np.column_stack([noise, np.sqrt(known)])
    scale = Standardisation(
        StandardisationRules(), dict.fromkeys(FEATURES, ColumnScale(0.0, 0.0, 1.0))
    )
    verdict = fine_tuning_verdict(
        ExampleSets(train, train, test, 60),
        sample,
        spent * generator.uniform(0.8, 1.2, NUM_TEST),
        np.arange(NUM_TRAIN),
        {PROBE: noise, PROBE_SAME_LAYERS: telling},
        scale,
        seed=0,
    )
    minus = verdict.text_llama_minus
    assert list(minus) == [PROBE, PROBE_SAME_LAYERS, RIDGE]
    for useless in (PROBE, RIDGE):
        assert minus[useless]["rmse"][2] < 0 < minus[useless]["gini"][1]
    assert minus[PROBE_SAME_LAYERS]["rmse"][1] > 0 > minus[PROBE_SAME_LAYERS]["gini"][2]
    assert verdict.num_customers == NUM_SAMPLE and verdict.num_probe_rows == NUM_TRAIN
