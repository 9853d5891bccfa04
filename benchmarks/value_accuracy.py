"""Value models on a public shop, from raw tables to the arena: `python -m benchmarks.value_accuracy --data journey`.

Everything runs in a temporary folder with the recipes of training/configs; cutoff and horizon of each shop are those at
which other tools were measured.
"""

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.evidence import RESULTS, write_evidence
from benchmarks.shop import prepare_shop
from lifecycle.jobs import start_logging
from lifecycle.metrics import paired_difference
from training.arena_recipe import VALUE_MODELS
from training.evaluate import EvaluateConfig, evaluate

SHOPS = ("journey", "cdnow")
SHOWN = (
    "mae",
    "rmse",
    "r2",
    "spearman",
    "gini",
    "decile_mape",
    "top_decile_share",
    "bias",
    "coverage_80",
    "coverage_95",
)
SEED = 0


def main() -> None:
    """Measure, print, write the evidence and the champion's predictions."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", choices=SHOPS, required=True)
    shop = parser.parse_args().data
    start_logging()
    with tempfile.TemporaryDirectory(prefix="evervalue-benchmark-") as name:
        folder = Path(name)
        places, data = prepare_shop(shop, folder)
        arena = places | {"output": folder / "arena"}
        evaluate(EvaluateConfig.model_validate(arena | {"models": list(VALUE_MODELS), "seed": SEED}))
        metrics = json.loads((folder / "arena" / "metrics.json").read_text())
        predictions = pl.read_parquet(folder / "arena" / "predictions.parquet")
    champion = metrics["champion"]
    numbers: dict[str, object] = {
        "champion": champion,
        **{metric: metrics["models"][champion][metric] for metric in SHOWN},
        "lightgbm_mae": metrics["models"]["lightgbm"]["mae"],
        "mae_difference_ci_90": mae_difference(predictions, champion),
        "llama_gain": None,  # no LLaMA is in the stack yet
        "models": {model: {metric: row[metric] for metric in SHOWN} for model, row in metrics["models"].items()},
        "selection": metrics["selection"],
    }
    kept = predictions.filter(pl.col("model") == champion).with_columns(pl.col(pl.Float64).round(2))
    kept.write_parquet(RESULTS / f"value_accuracy-{shop}.parquet")
    write_evidence(f"value_accuracy-{shop}", numbers, seeds=[SEED], data=data)


def mae_difference(predictions: pl.DataFrame, champion: str) -> list[float] | None:
    """Paired 90 % interval of the champion's MAE minus LightGBM's; None where LightGBM is the champion."""
    if champion == "lightgbm":
        return None
    by_model = {model: _values(predictions, model) for model in (champion, "lightgbm")}
    actual = predictions.filter(pl.col("model") == champion)["actual"].to_numpy()
    result = paired_difference(actual, by_model[champion], by_model["lightgbm"], "mae", seed=SEED, level=0.9)
    return None if result is None else [result[1], result[2]]


def _values(predictions: pl.DataFrame, model: str) -> np.ndarray:
    return predictions.filter(pl.col("model") == model)["predicted"].to_numpy()


if __name__ == "__main__":
    main()
