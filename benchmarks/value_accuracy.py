"""Value models on a public shop, from raw tables to the arena: `python -m benchmarks.value_accuracy --data journey`.

Everything runs in a temporary folder with the recipes of training/configs; cutoff and horizon of
each shop are those at which other tools were measured. The sequence encoder is trained first, and
joins the stack with the share it earns.
"""

import argparse
from pathlib import Path

import polars as pl

from benchmarks.harness.evidence import RESULTS, Json, write_evidence
from benchmarks.harness.metrics import shown
from benchmarks.harness.scratch import scratch_folder
from benchmarks.harness.shop import prepare_shop
from benchmarks.harness.training_run import train
from lifecycle.jobs import start_logging
from lifecycle.metrics.value import PAIRED_METRICS
from lifecycle.names import LIGHTGBM, SEQUENCE_LLAMA, VALUE_MODELS
from training.evaluate.job import evaluate
from training.evaluate.recipe import EvaluateConfig
from training.evaluate.value.comparison import BIAS_RANGE
from training.prepare.dataset import BACKTEST
from training.results.arena import Results
from training.results.value import Differences

# Epochs of the sequence encoder: CDNOW has ten times the customers.
SHOPS = {"journey": 16, "cdnow": 2}
SHOWN = (*PAIRED_METRICS, "coverage_80", "coverage_95")
SEED = 0


def main() -> None:
    """Measure, print, write the evidence and the champion's predictions."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", choices=list(SHOPS), required=True)
    shop = parser.parse_args().data
    start_logging()
    with scratch_folder() as folder:
        places, data = prepare_shop(shop, folder)
        judge(places, folder, epochs=SHOPS[shop])
        results = Results.read(folder / "arena" / "metrics.json")
        predictions = pl.read_parquet(folder / "arena" / "predictions.parquet")
    kept = predictions.filter(pl.col("model") == results.champion)
    rounded = kept.with_columns(pl.col(pl.Float64).round(2))
    rounded.write_parquet(RESULTS / f"value_accuracy-{shop}.parquet")
    write_evidence(f"value_accuracy-{shop}", numbers_of(results), seeds=[SEED], data=data)


def judge(places: dict[str, Path], folder: Path, *, epochs: int) -> None:
    """Train the sequence encoder for both windows, and judge it among all models of value."""
    examples = places["examples"]
    members = {"members": examples, "backtest_members": examples / BACKTEST}
    trained = {}
    for key, window in members.items():
        changes = [f"data={places['data']}", f"examples={window}", f"epochs={epochs}"]
        train("journey_sequence.yaml", folder / key, [*changes, f"seed={SEED}", "tracking=null"])
        trained[key] = {SEQUENCE_LLAMA: folder / key / "member"}
    others = {"output": folder / "arena", "models": list(VALUE_MODELS), "seed": SEED}
    evaluate(EvaluateConfig.model_validate(places | trained | others))


def numbers_of(results: Results) -> dict[str, Json]:
    """What is kept of the arena."""
    champion = results.champion
    assert champion is not None and results.selection is not None
    return {
        "champion": champion,
        **shown(results.models[champion], SHOWN),
        "lightgbm_mae": results.models[LIGHTGBM].mae,
        "mae_difference_ci_90": mae_interval(results),
        "champion_minus": results.champion_minus,
        "num_better_rivals": num_better_rivals(results),
        "llama_gain": results.llama_gain,
        "models": {name: shown(model, SHOWN) for name, model in results.models.items()},
        "selection": results.selection.model_dump(mode="json"),
        **interval_numbers(results, champion),
        "churn": churn_numbers(results),
        "groups": group_numbers(results),
    }


def mae_interval(results: Results) -> tuple[float, float] | None:
    """Of the champion's MAE minus LightGBM's; None where that is the champion."""
    difference = results.champion_minus.get(LIGHTGBM, {}).get("mae")
    return None if difference is None else difference[1:]


def num_better_rivals(results: Results) -> int:
    """Models of fair bias that are clearly better than the champion in RMSE or Gini."""
    low, high = BIAS_RANGE
    found = 0
    for rival, differences in results.champion_minus.items():
        bias = results.models[rival].bias
        is_fair = bias is not None and low <= bias <= high
        if is_fair and is_clearly_better(differences):
            found += 1
    return found


def is_clearly_better(differences: Differences) -> bool:
    """Whether the champion's RMSE minus a rival's is above 0, or its Gini's below, in the whole 90 % interval."""
    rmse = differences["rmse"]
    gini = differences["gini"]
    return (rmse is not None and rmse[1] > 0) or (gini is not None and gini[2] < 0)


def interval_numbers(results: Results, champion: str) -> dict[str, float]:
    """Of the champion's intervals, but for the coverage that SHOWN has."""
    assert results.intervals is not None
    found = results.intervals.models[champion].model_dump()
    return {key: value for key, value in found.items() if key not in SHOWN}


def churn_numbers(results: Results) -> dict[str, Json]:
    """Of the model that serves."""
    churn = results.churn
    assert churn is not None
    chosen = churn.models[churn.model]
    return {
        "model": churn.model,
        "share_left": churn.share_left,
        "auroc": chosen.auroc,
        "brier": chosen.brier,
        "brier_skill": chosen.brier_skill,
    }


def group_numbers(results: Results) -> dict[str, Json] | None:
    """Hidden groups, where there are enough customers."""
    if results.customers is None or results.customers.groups is None:
        return None
    return results.customers.groups.model_dump(mode="json")


if __name__ == "__main__":
    main()
