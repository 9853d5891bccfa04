"""The arena: all models on the same customers, the choice among them, and the files that say how it went."""

import logging
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import polars as pl

from lifecycle.artifact.contents import Artifact
from lifecycle.artifact.files import write_artifact
from lifecycle.events.history import KEYS
from lifecycle.folders import write_json
from lifecycle.names import LLAMA, SEQUENCE_LLAMA, STACK, STACK_WITHOUT_LLAMA
from lifecycle.spend.stack import shares_of
from training.distributed.cluster import require_resources, start_ray
from training.distributed.members import member_spend, member_states
from training.evaluate.artifact import Choice, cost_table, new_artifact
from training.evaluate.customers.groups import hidden_groups
from training.evaluate.customers.outlook import outlook
from training.evaluate.customers.profit import judge_profit
from training.evaluate.customers.prospects import judge_prospects
from training.evaluate.inputs import Inputs
from training.evaluate.recommend.rankings import Recommendation, judge_recommenders
from training.evaluate.value.champion import (
    PREDICTIONS_SCHEMA,
    choose_champion,
    differences,
    judge,
    predictions_frame,
    unsupported_models,
)
from training.evaluate.value.cheap import Fitted, cheap_entries, fit_table
from training.evaluate.value.churn import judge_churn
from training.evaluate.value.entries import Entry
from training.evaluate.value.intervals import judge_intervals
from training.evaluate.value.refit import refitted
from training.evaluate.value.stack import join_members, join_others
from training.evaluate.value.untrained import untrained_comparison
from training.evaluate.value.windows import ExampleSets, read_example_sets, read_rows
from training.prepare.dataset import LATEST
from training.report.arena import write_report

logger = logging.getLogger(__name__)
MAX_GROUPED = 20_000  # customers that hidden groups are sought among
NO_VALUE: dict[str, object] = {
    "cutoff": None, "horizon_days": None, "champion": None, "models": {}, "selection": None, "intervals": None,
    "customers": None, "profit": None, "churn": None, "prospects": None, "fine_tuning": None, "champion_minus": {},
    "llama_gain": None, "stack": None, "costs": None, "btyd_fits": {}, "refitted_at": None,
}  # fmt: skip


def run_arena(inputs: Inputs) -> None:
    """All steps; files that people read are written before the artifact, which is written last.

    Leave-one-out examples say nothing of value: only recommenders are judged on them, and there is
    no artifact.
    """
    if inputs.is_leave_one_out:
        if inputs.config.refit:
            logger.warning("refit is ignored: examples of leave_one_out say nothing of value")
        recommendation = judge_recommenders(inputs)
        metrics = (
            NO_VALUE | {"num_customers": recommendation.num_customers} | recommendation.metrics
        )
        _write_results(inputs, metrics, pl.DataFrame(schema=PREDICTIONS_SCHEMA), recommendation)
        logger.info(
            "%s: metrics.json, rankings.parquet and report.html; no values, so no artifact",
            inputs.config.output,
        )
        return
    if inputs.members:
        start_ray()
        require_resources(inputs.config.num_workers, 1.0, "cpu")
    config, sets = (
        inputs.config,
        read_example_sets(inputs.config.examples, inputs.encoded_customers),
    )
    unsupported, verdict = unsupported_models(sets, inputs.first_event_at), None
    entries, fitted = _enter(inputs, sets, unsupported)
    if LLAMA in entries and config.untrained_customers:
        verdict = untrained_comparison(inputs, sets, entries[LLAMA].test)
    judge(entries, sets, config.num_resamples, config.seed)
    champion, selection = choose_champion(
        entries,
        sets,
        config.score_budget_customers_per_second,
        config.num_resamples,
        config.seed,
        unsupported,
    )
    logger.info("champion: %s", champion)
    churn, leaving = judge_churn(entries, sets, config.num_resamples, config.seed)
    prospects, met = judge_prospects(config.examples, inputs.test_cutoff)
    recommendation = judge_recommenders(inputs)
    not_yet = pl.read_parquet(config.examples / "prospects.parquet", columns=KEYS)
    choice = Choice(champion, entries[champion], churn, recommendation.chosen, prospects)
    artifact = new_artifact(inputs, sets.test, choice, fitted)
    served, refitted_at = _served(inputs, artifact, sets, fitted)
    metrics = {
        "cutoff": str(inputs.time_split.test_cutoff),
        "horizon_days": sets.horizon_days,
        "num_customers": sets.test.height,
        "champion": champion,
        "models": {name: entry.metrics for name, entry in entries.items()},
        "champion_minus": {
            name: differences(entries, champion, name) for name in entries if name != champion
        },
        "llama_gain": differences(entries, STACK, STACK_WITHOUT_LLAMA)
        if STACK_WITHOUT_LLAMA in entries
        else None,
        "stack": None if fitted.stack is None else shares_of(fitted.stack),
        **recommendation.metrics,
        "selection": selection,
        "intervals": judge_intervals(entries, sets, champion, config.seed),
        "customers": outlook(
            artifact, sets, entries[champion].test, config.data, config.members, not_yet
        )
        | {"groups": _groups(inputs, sets, entries[champion].test)},
        "profit": judge_profit(artifact, sets, entries[champion].test, config.data),
        "churn": leaving,
        "prospects": met,
        "fine_tuning": verdict,
        "costs": cost_table(artifact.settings.costs),
        "btyd_fits": fit_table(fitted.btyd_models),
        "refitted_at": refitted_at,
    }
    _write_results(inputs, metrics, predictions_frame(entries, sets), recommendation, sets.test)
    write_artifact(served, config.members, metrics)


def _enter(
    inputs: Inputs, sets: ExampleSets, unsupported: Mapping[str, str]
) -> tuple[dict[str, Entry], Fitted]:
    """All models, the encoders among them, and what joins the stack."""
    config = inputs.config
    entries, fitted = cheap_entries(sets, config.models, config.seed)
    for name in inputs.members:
        entries[name] = _llama_entry(inputs, name, sets)
    if not entries:
        raise ValueError(f"no value model could be fitted; models are {', '.join(config.models)}")
    if fitted.stack is not None:
        budget = config.score_budget_customers_per_second
        entries, stack = join_others(entries, fitted.stack, sets, unsupported)
        entries, stack = join_members(entries, stack, sets, budget, unsupported)
        fitted = replace(fitted, stack=stack)
        logger.info(
            "the stack: %s",
            ", ".join(f"{name} {share:.2f}" for name, share in shares_of(stack).items()),
        )
    return entries, fitted


def _served(
    inputs: Inputs, judged: Artifact, sets: ExampleSets, fitted: Fitted
) -> tuple[Artifact, str | None]:
    """The artifact that serves, and the day until which its models know outcomes where they were fitted again."""
    if not inputs.config.refit:
        return judged, None
    champion = judged.settings.champion
    if champion in inputs.members:
        logger.warning(
            "refit is left out: %s serves, and LLaMA encoders are not trained again", champion
        )
        return judged, None
    latest = read_rows(inputs.config.examples, LATEST, inputs.encoded_customers)
    until = str(latest["cutoff"][0].date())
    logger.info("fitted again, to outcomes until %s", until)
    return replace(judged, **vars(refitted(fitted, sets, latest, inputs.config.seed))), until


def _groups(inputs: Inputs, sets: ExampleSets, predicted: np.ndarray) -> dict[str, object] | None:
    """Of a seeded sample of the test customers, whose groups go to groups.parquet; None without a sequence encoder."""
    if SEQUENCE_LLAMA not in inputs.members:
        return None
    config = inputs.config
    test = sets.test.with_columns(predicted=predicted)
    test = test.sample(min(test.height, MAX_GROUPED), seed=config.seed)
    states = member_states(
        config.members[SEQUENCE_LLAMA], config.data, test.select(KEYS), config.num_workers
    )
    found = hidden_groups(states, test, config.seed)
    if found is None:
        return None
    described, group = found
    test.select("customer_id", pl.Series("group", group)).write_parquet(
        config.output / "groups.parquet"
    )
    return described


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
    predicted, speed = member_spend(
        config.members[name], config.data, pl.concat(rows), config.num_workers
    )
    backtest, earlier = None, config.backtest_members.get(name)
    if earlier is not None and sets.backtest is not None:
        before = sets.backtest.test.select(*KEYS, "prompt")
        backtest, _ = member_spend(earlier, config.data, before, config.num_workers)
    split = sets.selection.height
    return Entry(predicted[:split], predicted[split:], speed, backtest)
