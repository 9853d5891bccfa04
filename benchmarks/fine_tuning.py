"""What fine-tuning buys on The Complete Journey: `python -m benchmarks.fine_tuning`.

The shipped recipe is trained and judged in a temporary folder. All test households are compared
with linear probes on the untrained model, whole and cut to the member's layers, and with ridge
regression on the numbers that the prompt shows. Takes about ten minutes on two cores.
"""

import json
import time

from benchmarks.harness.evidence import Json, write_evidence
from benchmarks.harness.metrics import shown
from benchmarks.harness.scratch import scratch_folder
from benchmarks.harness.shop import CONFIGS, prepare_shop
from lifecycle.jobs import start_logging
from training.evaluate.job import evaluate
from training.evaluate.recipe import EvaluateConfig
from training.recipe import PROGRESS_FILE
from training.results.arena import Results
from training.run.job import train
from training.tasks.recipes.union import load_recipe

SHOWN = ("mae", "rmse", "r2", "spearman", "gini", "decile_mape", "bias")
NUM_PROBE_ROWS = 2000
EVERYBODY = 10**9


def main() -> None:
    """Train, judge, print, write the evidence."""
    start_logging()
    with scratch_folder() as folder:
        places, data = prepare_shop("journey", folder)
        training = load_recipe(CONFIGS / "journey_text.yaml").model_copy(
            update=places | {"output": folder / "text", "tracking": None}
        )
        started_at = time.monotonic()
        train(training)
        seconds = time.monotonic() - started_at
        last = json.loads((folder / "text" / PROGRESS_FILE).read_text().splitlines()[-1])
        arena = places | {
            "members": {"text_llama": folder / "text" / "member"},
            "output": folder / "arena",
        }
        asked = ["persistence", "bgnbd_gg", "lightgbm", "stack"]
        size = {"untrained_customers": EVERYBODY, "probe_rows": NUM_PROBE_ROWS}
        evaluate(EvaluateConfig.model_validate(arena | size | {"models": asked}))
        results = Results.read(folder / "arena" / "metrics.json")
    verdict = results.fine_tuning
    assert verdict is not None
    models = {name: shown(row, SHOWN) for name, row in results.models.items()}
    models |= {name: shown(row, SHOWN) for name, row in verdict.models.items()}
    numbers: dict[str, Json] = {
        "text_llama_minus": verdict.text_llama_minus,
        "llama_gain": results.llama_gain,
        "models": models,
        "num_customers": verdict.num_customers,
        "num_probe_rows": verdict.num_probe_rows,
        "num_examples": last["step"] * training.global_batch,
        "train_seconds": round(seconds, 1),
        "tokens_per_second": round(last["tokens_per_second"], 1),
    }
    write_evidence("fine_tuning", numbers, seeds=[training.seed], data=data)


if __name__ == "__main__":
    main()
