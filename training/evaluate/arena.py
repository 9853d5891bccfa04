"""The arena: all models on the same customers, the choice among them, and the files that say how it went."""

import logging
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import polars as pl

from lifecycle.artifact.contents import Artifact
from lifecycle.artifact.files import write_artifact
from lifecycle.events.history import KEYS
from lifecycle.names import LLAMA, SEQUENCE_LLAMA, STACK, STACK_WITHOUT_LLAMA
from lifecycle.spend.stack import shares_of
from training.distributed.cluster import start_ray_for
from training.distributed.members import member_spend, member_states
from training.evaluate.artifact import Choice, cost_table, members_of, new_artifact
from training.evaluate.customers.groups import hidden_groups
from training.evaluate.customers.outlook import outlook
from training.evaluate.customers.profit import judge_profit
from training.evaluate.customers.prospects import judge_prospects
from training.evaluate.customers.standing import fit_window_standings
from training.evaluate.customers.worth import worth_of
from training.evaluate.inputs import Inputs
from training.evaluate.recommend.rankings import Recommendation, judge_recommenders
from training.evaluate.served import served
from training.evaluate.value.champion import choose_champion, unsupported_models
from training.evaluate.value.cheap import Fits, cheap_forecasts, fit_table
from training.evaluate.value.churn import judge_churn
from training.evaluate.value.comparison import backtests_of
from training.evaluate.value.forecasts import Forecast, Judged
from training.evaluate.value.heeded import as_served
from training.evaluate.value.intervals import judge_intervals
from training.evaluate.value.judging import (
    PREDICTIONS_SCHEMA,
    differences,
    judge,
    predictions_frame,
)
from training.evaluate.value.outcomes import Fitted
from training.evaluate.value.stack import join_members, join_others, members_with_season
from training.evaluate.value.total import total_error
from training.evaluate.value.untrained import untrained_comparison
from training.evaluate.value.windows import ExampleSets, read_example_sets
from training.report.arena import write_report
from training.results.arena import Results
from training.results.customers import Customers, HiddenGroups
from training.results.value import Differences, FineTuning

logger = logging.getLogger(__name__)
MAX_GROUPED = 20_000  # customers that hidden groups are sought among


def run_arena(inputs: Inputs) -> None:
    """All steps; files that people read are written before the artifact, which is written last.

    Leave-one-out examples say nothing of value: only recommenders are judged on them, and there is
    no artifact.
    """
    if inputs.is_leave_one_out:
        _judge_recommenders_alone(inputs)
        return
    if inputs.members:
        start_ray_for(inputs.config.num_workers, 1.0, "cpu")
    _judge_value(inputs, read_example_sets(inputs.config.examples, inputs.encoded_customers))


def _judge_value(inputs: Inputs, sets: ExampleSets) -> None:
    config = inputs.config
    unsupported = unsupported_models(sets, inputs.first_event_at)
    forecasts, fits = _forecasts(inputs, sets, unsupported)
    models = fits.test
    logger.info("%s", models.season.told())
    budget = config.score_budget_customers_per_second
    champion, selection = choose_champion(
        forecasts, sets, budget, config.num_resamples, config.seed, unsupported
    )
    logger.info("champion: %s", champion)
    rules = fit_window_standings(config.data, sets, config.returns)
    served_forecasts = as_served(forecasts, champion, sets, rules)
    churn, leaving = judge_churn(forecasts, sets, config.num_resamples, config.seed)
    fitted = Fitted(sets, fits, None if churn is None else forecasts[churn].leaving)
    judged = judge(served_forecasts, fitted, config.num_resamples, config.seed)
    winner = judged[champion]
    prospects, met = judge_prospects(config.examples, inputs.test_cutoff, config.seed)
    recommendation = judge_recommenders(inputs)
    choice = Choice(
        champion=champion,
        winner=winner,
        churn=churn,
        recommendation=recommendation,
        prospects=prospects,
        standings=rules.test,
    )
    artifact = new_artifact(inputs, sets, choice, models)
    predicted = winner.forecast.test
    found = served(inputs, artifact, sets, predicted)
    results = Results(
        cutoff=str(inputs.time_split.test_cutoff),
        horizon_days=sets.horizon_days,
        num_customers=sets.test.height,
        currency=artifact.settings.currency,
        champion=champion,
        models={name: one.metrics for name, one in judged.items()},
        champion_minus=_champion_minus(judged, champion),
        llama_gain=_llama_gain(judged),
        stack=None if models.stack is None else shares_of(models.stack),
        recommendation=recommendation.recommendation,
        recommender=recommendation.recommender,
        selection=selection,
        total_error=total_error(winner.forecast, sets, found, config.num_resamples, config.seed),
        backtests=backtests_of(forecasts, sets),
        intervals=judge_intervals(judged, sets, champion, config.seed),
        customers=_customers(inputs, artifact, sets, predicted),
        worth=worth_of(found),
        profit=judge_profit(artifact, sets, predicted, config.data),
        churn=leaving,
        prospects=met,
        standings=rules.test,
        fine_tuning=_fine_tuning(inputs, sets, forecasts),
        costs=cost_table(artifact.settings.costs),
        season=models.season,
        btyd_fits=fit_table(models.btyd),
        refitted_at=found.refitted_at,
    )
    _write_results(inputs, results, predictions_frame(judged, sets), recommendation, sets.test)
    write_artifact(found.artifact, members_of(inputs, found.artifact), results.content())


def _fine_tuning(
    inputs: Inputs, sets: ExampleSets, forecasts: dict[str, Forecast]
) -> FineTuning | None:
    """What training brought the text encoder; None without one, or where the recipe does not ask."""
    if LLAMA not in forecasts or not inputs.config.untrained_customers:
        return None
    return untrained_comparison(inputs, sets, forecasts[LLAMA].test)


def _judge_recommenders_alone(inputs: Inputs) -> None:
    if inputs.config.refit:
        logger.warning("refit is ignored: examples of leave_one_out say nothing of value")
    recommendation = judge_recommenders(inputs)
    results = Results(
        num_customers=recommendation.num_customers,
        currency=inputs.data.currency,
        recommendation=recommendation.recommendation,
        recommender=recommendation.recommender,
    )
    _write_results(inputs, results, pl.DataFrame(schema=PREDICTIONS_SCHEMA), recommendation)
    written = "metrics.json, rankings.parquet and report.html"
    logger.info("%s: %s; no values, so no artifact", inputs.config.output, written)


def _forecasts(
    inputs: Inputs, sets: ExampleSets, unsupported: Mapping[str, str]
) -> tuple[dict[str, Forecast], Fits]:
    """What all models expect, the encoders among them, and the models with what joined the stack."""
    config = inputs.config
    forecasts, fits = cheap_forecasts(sets, config.models, config.seed, config.data)
    for name in inputs.members:
        forecasts[name] = _llama_forecast(inputs, name, sets)
    if not forecasts:
        raise ValueError(f"no value model could be fitted; models are {', '.join(config.models)}")
    models = fits.test
    if models.stack is not None:
        budget = config.score_budget_customers_per_second
        forecasts, stack = join_others(forecasts, models.stack, sets, unsupported)
        forecasts, stack = join_members(forecasts, stack, sets, budget, unsupported)
        shares = ", ".join(f"{name} {share:.2f}" for name, share in shares_of(stack).items())
        logger.info("the stack: %s", shares)
        models = replace(models, stack=stack)
    forecasts, models = members_with_season(forecasts, models, sets)
    return forecasts, replace(fits, test=models)


def _champion_minus(judged: Mapping[str, Judged], champion: str) -> dict[str, Differences]:
    others = [name for name in judged if name != champion]
    return {name: differences(judged, champion, name) for name in others}


def _llama_gain(judged: Mapping[str, Judged]) -> Differences | None:
    """What the encoders add to the stack; None where none competes."""
    if STACK_WITHOUT_LLAMA not in judged:
        return None
    return differences(judged, STACK, STACK_WITHOUT_LLAMA)


def _customers(
    inputs: Inputs, artifact: Artifact, sets: ExampleSets, predicted: np.ndarray
) -> Customers:
    """What the artifact says of the test customers, and the groups among them."""
    config = inputs.config
    not_yet = pl.read_parquet(config.examples / "prospects.parquet", columns=KEYS)
    groups = _groups(inputs, sets, predicted)
    return outlook(artifact, sets, predicted, config.data, config.members, not_yet, groups)


def _groups(inputs: Inputs, sets: ExampleSets, predicted: np.ndarray) -> HiddenGroups | None:
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
    results: Results,
    predictions: pl.DataFrame,
    recommendation: Recommendation,
    test: pl.DataFrame | None = None,
) -> None:
    output = inputs.config.output
    predictions.write_parquet(output / "predictions.parquet")
    recommendation.rankings.write_parquet(output / "rankings.parquet")
    results.write(output / "metrics.json")
    if inputs.config.report_html:
        write_report(output / "report.html", results, predictions, test)
        logger.info("%s written", output / "report.html")


def _llama_forecast(inputs: Inputs, name: str, sets: ExampleSets) -> Forecast:
    config = inputs.config
    rows = [part.select(*KEYS, "prompt") for part in (sets.selection, sets.test)]
    predicted, speed = member_spend(
        config.members[name], config.data, pl.concat(rows), config.num_workers
    )
    backtest = None
    earlier = config.backtest_members.get(name)
    if earlier is not None and sets.backtest is not None:
        before = sets.backtest.test.select(*KEYS, "prompt")
        backtest, _ = member_spend(earlier, config.data, before, config.num_workers)
    split = sets.selection.height
    return Forecast(predicted[:split], predicted[split:], speed, backtest)
