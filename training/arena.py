"""The arena: all models on the same customers, the choice among them, and the files that say how it went."""

import logging
import time

import polars as pl

from lifecycle.artifact import LLAMA
from lifecycle.folders import write_json
from training.arena_artifact import Choice, write_artifact
from training.arena_inputs import Inputs
from training.arena_rank import choose_recommender, rank_customers, ranking_groups, rankings_frame
from training.arena_untrained import untrained_comparison
from training.arena_value import (
    Entry,
    ExampleSets,
    cheap_entries,
    choose_champion,
    judge,
    predictions_frame,
    read_example_sets,
)
from training.inference import llama_spend
from training.ray_start import start_ray
from training.report import write_report

logger = logging.getLogger(__name__)
TASK = "next_basket"


def run_arena(inputs: Inputs) -> None:
    """All steps; files that people read are written before the artifact, which is written last."""
    config, sets = inputs.config, read_example_sets(inputs.config.examples, inputs.horizon_days)
    entries, fitted = cheap_entries(sets, config.models, config.seed)
    verdict = None
    if LLAMA in inputs.members:
        entries[LLAMA] = _llama_entry(inputs, sets)
        if config.untrained_customers:
            verdict = untrained_comparison(inputs, sets, entries[LLAMA].test)
    if not entries:
        raise ValueError(f"no value model could be fitted; models are {', '.join(config.models)}")
    judge(entries, sets, config.num_resamples, config.seed)
    champion, selection = choose_champion(entries, sets, config.score_budget_customers_per_second)
    logger.info("champion: %s", champion)
    ranked = rank_customers(inputs)
    recommender, recommender_scores = choose_recommender(inputs)
    metrics = {
        "cutoff": str(inputs.dataset["test_cutoff"]),
        "horizon_days": sets.horizon_days,
        "num_customers": sets.test.height,
        "champion": champion,
        "models": {name: entry.metrics for name, entry in entries.items()},
        "recommendation": {TASK: ranking_groups(ranked.rankings, ranked.baskets, inputs.items.height)},
        "recommender": recommender_scores,
        "selection": selection,
        "fine_tuning": verdict,
    }
    predictions = predictions_frame(entries, sets)
    predictions.write_parquet(config.output / "predictions.parquet")
    rankings_frame(ranked.rankings, TASK).write_parquet(config.output / "rankings.parquet")
    write_json(config.output / "metrics.json", metrics)
    write_report(config.output / "report.html", metrics, predictions, sets.test)
    choice = Choice(champion, entries[champion], recommender, ranked.retriever)
    write_artifact(inputs, sets.test, choice, fitted, metrics)


def _llama_entry(inputs: Inputs, sets: ExampleSets) -> Entry:
    prompts = pl.concat([sets.selection["prompt"], sets.test["prompt"]])
    start_ray()
    started_at = time.monotonic()
    predicted = llama_spend(inputs.config.members[LLAMA], prompts, inputs.config.num_workers)
    speed = len(predicted) / (time.monotonic() - started_at)
    split = sets.selection.height
    return Entry(predicted[:split], predicted[split:], speed)
