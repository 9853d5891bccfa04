"""The arena: all models on the same customers, the choice among them, and the files that say how it went."""

import logging
from dataclasses import replace

import polars as pl

from lifecycle.folders import write_json
from lifecycle.history import KEYS
from lifecycle.member import LLAMA
from lifecycle.value.stack import STACK, STACK_WITHOUT_LLAMA
from training.arena_artifact import Choice, write_artifact
from training.arena_cheap import cheap_entries
from training.arena_churn import judge_churn
from training.arena_entries import Entry, ExampleSets, read_example_sets
from training.arena_inputs import Inputs
from training.arena_prospects import judge_prospects
from training.arena_rank import Recommendation, judge_recommenders
from training.arena_stack import join_members
from training.arena_untrained import untrained_comparison
from training.arena_value import PREDICTIONS_SCHEMA, choose_champion, differences, judge, predictions_frame
from training.inference import member_spend
from training.ray_start import require_resources, start_ray
from training.report import write_report

logger = logging.getLogger(__name__)
NO_VALUE: dict[str, object] = {
    "cutoff": None, "horizon_days": None, "champion": None, "models": {}, "selection": None,
    "churn": None, "prospects": None, "fine_tuning": None, "champion_minus": {}, "llama_gain": None,
}  # fmt: skip


def run_arena(inputs: Inputs) -> None:
    """All steps; files that people read are written before the artifact, which is written last.

    Leave-one-out examples say nothing of value: only recommenders are judged on them, and there is no artifact.
    """
    if inputs.is_leave_one_out:
        recommendation = judge_recommenders(inputs)
        metrics = NO_VALUE | {"num_customers": recommendation.num_customers} | recommendation.metrics
        _write_results(inputs, metrics, pl.DataFrame(schema=PREDICTIONS_SCHEMA), recommendation)
        logger.info(
            "%s: metrics.json, rankings.parquet and report.html; no values, so no artifact", inputs.config.output
        )
        return
    if inputs.members:
        start_ray()
        require_resources(inputs.config.num_workers, 1.0, "cpu")
    config, sets = inputs.config, read_example_sets(inputs.config.examples)
    entries, fitted = cheap_entries(sets, config.models, config.seed)
    verdict = None
    for name in inputs.members:
        entries[name] = _llama_entry(inputs, name, sets)
    if fitted.stack is not None:
        entries, stack = join_members(entries, fitted.stack, sets, config.score_budget_customers_per_second)
        fitted = replace(fitted, stack=stack)
    if LLAMA in entries and config.untrained_customers:
        verdict = untrained_comparison(inputs, sets, entries[LLAMA].test)
    if not entries:
        raise ValueError(f"no value model could be fitted; models are {', '.join(config.models)}")
    judge(entries, sets, config.num_resamples, config.seed)
    champion, selection = choose_champion(
        entries, sets, config.score_budget_customers_per_second, config.num_resamples, config.seed
    )
    logger.info("champion: %s", champion)
    churn, leaving = judge_churn(entries, sets, config.num_resamples, config.seed)
    prospects, met = judge_prospects(config.examples, inputs.test_cutoff)
    recommendation = judge_recommenders(inputs)
    metrics = {
        "cutoff": str(inputs.dataset["test_cutoff"]),
        "horizon_days": sets.horizon_days,
        "num_customers": sets.test.height,
        "champion": champion,
        "models": {name: entry.metrics for name, entry in entries.items()},
        "champion_minus": {name: differences(entries, champion, name) for name in entries if name != champion},
        "llama_gain": differences(entries, STACK, STACK_WITHOUT_LLAMA) if STACK_WITHOUT_LLAMA in entries else None,
        **recommendation.metrics,
        "selection": selection,
        "churn": leaving,
        "prospects": met,
        "fine_tuning": verdict,
    }
    _write_results(inputs, metrics, predictions_frame(entries, sets), recommendation, sets.test)
    choice = Choice(champion, entries[champion], churn, recommendation.chosen, prospects)
    write_artifact(inputs, sets.test, choice, fitted, metrics)


def _write_results(
    inputs: Inputs,
    metrics: dict[str, object],
    predictions: pl.DataFrame,
    recommendation: Recommendation,
    test: pl.DataFrame | None = None,
) -> None:
    output = inputs.config.output
    predictions.write_parquet(output / "predictions.parquet")
    recommendation.rankings.write_parquet(output / "rankings.parquet")
    write_json(output / "metrics.json", metrics)
    write_report(output / "report.html", metrics, predictions, test)


def _llama_entry(inputs: Inputs, name: str, sets: ExampleSets) -> Entry:
    config = inputs.config
    rows = [part.select(*KEYS, "prompt") for part in (sets.selection, sets.test)]
    predicted, speed = member_spend(config.members[name], config.data, pl.concat(rows), config.num_workers)
    backtest, earlier = None, config.backtest_members.get(name)
    if earlier is not None and sets.backtest is not None:
        before = sets.backtest.test.select(*KEYS, "prompt")
        backtest, _ = member_spend(earlier, config.data, before, config.num_workers)
    split = sets.selection.height
    return Entry(predicted[:split], predicted[split:], speed, backtest)
