"""What one more horizon of outcomes is worth: `python -m benchmarks.freshness [--shops 4]`.

Models that serve as they were judged are one horizon older than the data; `refit: true` of the
arena's recipe fits them again. Here both predict the same customers: fitted one horizon before the
cutoff, and at it. The Complete Journey is judged at its test cutoff, simulated wholesalers at
theirs. `<shop>_<model>` has `old` and `fresh` metrics, `wholesalers_<model>_rmse` and `_mae` the
geometric means, over those shops, of fresh over old.
"""

import argparse

from benchmarks.harness.evidence import Json, write_evidence
from benchmarks.harness.metrics import Metrics, geometric_mean, metrics_by_model
from benchmarks.harness.scratch import scratch_folder
from benchmarks.harness.shop import prepare_shop
from benchmarks.harness.wholesaler_shop import FIRST_SEED, prepare_wholesaler
from lifecycle.jobs import start_logging
from lifecycle.spend.model import Past
from lifecycle.spend.models import SpendModels
from training.evaluate.value.windows import ExampleSets, read_example_sets, target_of

MODELS = ("lightgbm", "stack")
RATIOS = ("rmse", "mae")
OldAndFresh = dict[str, Metrics]


def main() -> None:
    """Measure, print, write the evidence."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shops", type=int, default=4)
    seeds = range(FIRST_SEED, FIRST_SEED + parser.parse_args().shops)
    start_logging()
    numbers: dict[str, Json] = {}
    with scratch_folder() as folder:
        places, data = prepare_shop("journey", folder)
        journey = compared(read_example_sets(places["examples"]))
    for model, found in journey.items():
        numbers[f"journey_{model}"] = found
        for metric in RATIOS:
            numbers[f"journey_{model}_{metric}"] = ratio(found, metric)
    shops = []
    for seed in seeds:
        with scratch_folder() as folder:
            places = prepare_wholesaler(folder, seed)
            shops.append(compared(read_example_sets(places["examples"])))
        print(seed, shops[-1], flush=True)
    for model in MODELS:
        for metric in RATIOS:
            mean = geometric_mean(ratio(shop[model], metric) for shop in shops)
            numbers[f"wholesalers_{model}_{metric}"] = mean
    numbers["wholesalers"] = shops
    write_evidence("freshness", numbers, seeds=seeds, data=data)


def compared(sets: ExampleSets) -> dict[str, OldAndFresh]:
    """By model the metrics of its old and its fresh fit on the test customers."""
    assert sets.backtest is not None and sets.backtest.horizon_days == sets.horizon_days
    old = judged(sets.backtest.for_test, sets)
    fresh = judged(sets.for_test, sets)
    return {model: {"old": old[model], "fresh": fresh[model]} for model in MODELS}


def judged(past: Past, sets: ExampleSets) -> dict[str, Metrics]:
    """Metrics by model, fitted to a past, of the test customers."""
    models = SpendModels.fit(past, MODELS, seed=0)
    predicted = {name: models.expected_spend(name, sets.test) for name in MODELS}
    return metrics_by_model(target_of(sets.test), predicted)


def ratio(found: OldAndFresh, metric: str) -> float:
    """Of the fresh fit over the old one."""
    return found["fresh"][metric] / found["old"][metric]


if __name__ == "__main__":
    main()
