"""Value models on a public shop, from raw tables to the arena: `python -m benchmarks.value_accuracy --data journey`.

Everything runs in a temporary folder with the recipes of training/configs; cutoff and horizon of
each shop are those at which other tools were measured. The sequence encoder is trained first, and
joins the stack with the share it earns.
"""

import argparse
import json
import tempfile
from pathlib import Path

import polars as pl

from benchmarks.harness.evidence import RESULTS, write_evidence
from benchmarks.harness.shop import prepare_shop
from benchmarks.harness.training_run import train
from lifecycle.jobs import start_logging
from lifecycle.names import SEQUENCE_LLAMA, VALUE_MODELS
from training.evaluate.job import evaluate
from training.evaluate.recipe import EvaluateConfig
from training.evaluate.value.comparison import BIAS_RANGE
from training.prepare.dataset import BACKTEST

SHOPS = {
    "journey": 16,
    "cdnow": 2,
}  # epochs of the sequence encoder: CDNOW has ten times the customers
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
    parser.add_argument("--data", choices=list(SHOPS), required=True)
    shop = parser.parse_args().data
    start_logging()
    with tempfile.TemporaryDirectory(prefix="evervalue-benchmark-") as name:
        folder = Path(name)
        places, data = prepare_shop(shop, folder)
        arena: dict[str, object] = {**places, "output": folder / "arena"}
        for key, examples in (
            ("members", places["examples"]),
            ("backtest_members", places["examples"] / BACKTEST),
        ):
            changes = [f"data={places['data']}", f"examples={examples}", f"epochs={SHOPS[shop]}"]
            train(
                "journey_sequence.yaml", folder / key, [*changes, f"seed={SEED}", "tracking=null"]
            )
            arena[key] = {SEQUENCE_LLAMA: folder / key / "member"}
        evaluate(
            EvaluateConfig.model_validate(arena | {"models": list(VALUE_MODELS), "seed": SEED})
        )
        metrics = json.loads((folder / "arena" / "metrics.json").read_text())
        predictions = pl.read_parquet(folder / "arena" / "predictions.parquet")
    champion = metrics["champion"]
    numbers: dict[str, object] = {
        "champion": champion,
        **{metric: metrics["models"][champion][metric] for metric in SHOWN},
        "lightgbm_mae": metrics["models"]["lightgbm"]["mae"],
        "mae_difference_ci_90": metrics["champion_minus"]["lightgbm"]["mae"][1:]
        if champion != "lightgbm"
        else None,
        "champion_minus": metrics["champion_minus"],
        "num_better_rivals": sum(
            is_clearly_better(against)
            and BIAS_RANGE[0] <= metrics["models"][rival]["bias"] <= BIAS_RANGE[1]
            for rival, against in metrics["champion_minus"].items()
        ),
        "llama_gain": metrics["llama_gain"],
        "models": {
            model: {metric: row[metric] for metric in SHOWN}
            for model, row in metrics["models"].items()
        },
        "selection": metrics["selection"],
        **{
            key: found
            for key, found in metrics["intervals"]["models"][champion].items()
            if key not in SHOWN
        },
        "churn": {name: metrics["churn"][name] for name in ("model", "share_left")}
        | {
            name: metrics["churn"]["models"][metrics["churn"]["model"]][name]
            for name in ("auroc", "brier", "brier_skill")
        },
        "groups": metrics["customers"]["groups"],
    }
    kept = predictions.filter(pl.col("model") == champion).with_columns(pl.col(pl.Float64).round(2))
    kept.write_parquet(RESULTS / f"value_accuracy-{shop}.parquet")
    write_evidence(f"value_accuracy-{shop}", numbers, seeds=[SEED], data=data)


def is_clearly_better(against: dict[str, list[float]]) -> bool:
    """Whether the champion's RMSE minus a rival's is above 0, or its Gini's below, in the whole 90 % interval."""
    return against["rmse"][1] > 0 or against["gini"][2] < 0


if __name__ == "__main__":
    main()
