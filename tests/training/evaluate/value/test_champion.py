"""Who becomes champion of the value arena, and on what grounds."""

import re
import shutil
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from lifecycle.metrics.value import value_metrics
from lifecycle.names import BTYD_MODELS
from tests.builders import TinyShop
from tests.training.evaluate.value.forecasts import ACTUAL, sets_of
from training.evaluate.value.champion import choose_champion, unsupported_models
from training.evaluate.value.comparison import backtests_of
from training.evaluate.value.forecasts import Forecast
from training.evaluate.value.windows import read_example_sets
from training.prepare.dataset import BACKTEST


def entry(selection: np.ndarray, speed: float = 100.0, test: np.ndarray = ACTUAL) -> Forecast:
    return Forecast(selection, test, speed)


def champion_of(budget: float | None = None, **entries: Forecast) -> str:
    return choose_champion(entries, sets_of(ACTUAL, ACTUAL), budget, 50, 0)[0]


def test_champion_has_the_least_rmse_among_those_of_fair_bias() -> None:
    biased, rough = entry(ACTUAL * 1.15), entry(ACTUAL[::-1])
    assert champion_of(biased=biased, rough=rough) == "rough"
    assert champion_of(biased=biased, rough=rough, good=entry(ACTUAL + 1)) == "good"


def test_models_for_which_data_are_too_few_are_chosen_only_without_others() -> None:
    entries, sets = (
        {"good": entry(ACTUAL + 1), "rough": entry(ACTUAL[::-1])},
        sets_of(ACTUAL, ACTUAL),
    )
    reason = "needs 200 customers"
    champion, chosen = choose_champion(
        entries, sets, None, 50, 0, {"good": reason, "absent": reason}
    )
    assert champion == "rough" and chosen.unsupported == {"good": reason}
    assert set(chosen.models) == set(entries), "it is judged all the same"
    assert choose_champion(entries, sets, None, 50, 0, dict.fromkeys(entries, reason))[0] == "good"


def test_few_customers_support_the_stack_but_not_what_learns_from_them_alone(
    tiny_shop: TinyShop,
) -> None:
    sets, start = read_example_sets(tiny_shop.examples), datetime(2024, 1, 1, tzinfo=UTC)
    assert unsupported_models(sets, start) == {}
    few = sets.train["customer_id"].unique().sort().head(80).implode()
    train = sets.train.filter(pl.col("customer_id").is_in(few))
    small = replace(sets, train=train, selection=sets.selection.clear())
    told = unsupported_models(small, start)
    assert set(told) == {"lightgbm", "hurdle", "ziln", "text_llama", "sequence_llama"}
    assert re.fullmatch(
        r".*; and 200 customers and 90 days of data: \d+ before the latest.*", told["lightgbm"]
    )
    assert set(unsupported_models(replace(small, train=train.head(30)), start)) > {
        *BTYD_MODELS,
        "stack",
        *told,
    }


def test_customers_of_whom_nobody_comes_back_have_no_value_to_speak_of(tiny_shop: TinyShop) -> None:
    sets = read_example_sets(tiny_shop.examples)
    once = replace(sets, test=sets.test.with_columns(num_order_days=pl.lit(1)))
    with pytest.raises(ValueError, match="none of [0-9]+ customers has purchases on 2 days"):
        unsupported_models(once, datetime(2024, 1, 1, tzinfo=UTC))


def test_bias_that_few_customers_cannot_tell_from_a_fair_one_does_not_exclude() -> None:
    random = np.random.default_rng(0)
    for num_customers, champion in ((60, "good"), (20_000, "poor")):
        spent = random.gamma(0.3, 100.0, num_customers)
        good = 0.87 * spent * random.lognormal(0.0, 0.5, num_customers) / np.exp(0.125)
        entries = {
            "good": Forecast(good, good, 1.0),
            "poor": Forecast(np.full(num_customers, spent.mean()), good, 1.0),
        }
        assert choose_champion(entries, sets_of(spent, spent), None, 100, 0)[0] == champion


def test_without_a_fair_model_the_fairest_wins() -> None:
    assert (
        champion_of(double=entry(ACTUAL * 2), third=entry(ACTUAL / 3), more=entry(ACTUAL * 1.2))
        == "more"
    )


def test_bias_that_all_models_share_is_the_seasons() -> None:
    spent = np.random.default_rng(0).gamma(1.0, 50.0, 2000)
    noise = np.random.default_rng(1).normal(0.0, 10.0, 2000)
    low = {
        f"low-{number}": Forecast(0.8 * spent + number * noise, spent, 1.0) for number in (1, 2, 3)
    }
    rough = Forecast(np.random.default_rng(2).permutation(spent), spent, 1.0)
    high = Forecast(1.2 * spent, spent, 1.0)
    champion, chosen = choose_champion(
        low | {"rough": rough, "high": high}, sets_of(spent, spent), None, 50, 0
    )
    assert champion == "low-1" and chosen.shared_bias == pytest.approx(0.8, rel=0.02)
    assert (
        choose_champion({"rough": rough, "high": high}, sets_of(spent, spent), None, 50, 0)[0]
        == "rough"
    )


def test_what_a_kind_of_models_that_is_wrong_shares_makes_nobody_unfair() -> None:
    """Four of eight models expect too much, and know little of who spends: that is no season."""
    random = np.random.default_rng(0)
    spent = random.gamma(1.0, 50.0, 2000)
    entries = {}
    for number in range(1, 5):
        noise = random.normal(0.0, 5.0 * number, 2000)
        entries[f"good-{number}"] = Forecast(spent + noise, spent, 1.0)
        wrong = (1.5 + number / 20) * random.permutation(spent)
        entries[f"wrong-{number}"] = Forecast(wrong, spent, 1.0)
    champion, chosen = choose_champion(entries, sets_of(spent, spent), None, 50, 0)
    assert champion == "good-1" and chosen.shared_bias == pytest.approx(1.0, abs=0.03)


def test_shared_bias_counts_the_stack_once() -> None:
    spent = np.random.default_rng(0).gamma(1.0, 50.0, 500)
    stack = Forecast(1.5 * spent, spent, 1.0)
    entries = {
        "stack": stack,
        "stack_without_llama": stack,
        "stack_over_budget": stack,
        "fair": Forecast(spent, spent, 1.0),
    }
    champion, chosen = choose_champion(entries, sets_of(spent, spent), None, 50, 0)
    assert champion == "fair" and chosen.shared_bias == 1.0, "two models cannot tell a season"


def test_backtest_without_any_spend_is_left_aside(tiny_shop: TinyShop, tmp_path: Path) -> None:
    shutil.copytree(tiny_shop.examples, tmp_path / "examples")
    test = tmp_path / "examples" / BACKTEST / "test.parquet"
    pl.read_parquet(test).with_columns(target=pl.lit(0.0)).write_parquet(test)
    assert read_example_sets(tmp_path / "examples").backtest is None


def test_where_nobody_spent_anything_the_least_error_wins() -> None:
    entries = {"first": Forecast(ACTUAL + 1, ACTUAL, 1.0), "less": Forecast(ACTUAL, ACTUAL, 1.0)}
    assert choose_champion(entries, sets_of(np.zeros(5), ACTUAL), None, 50, 0)[0] == "less"


def test_ties_in_rmse_go_to_the_lower_decile_mape() -> None:
    high, low = (
        np.array([0.0, 10, 20, 30, 45]),
        np.array([0.0, 15, 20, 30, 40]),
    )  # both are off by 5 once
    assert champion_of(low=entry(low), high=entry(high)) == "high"


@pytest.mark.parametrize("name", ["stack", "stack_without_llama"])
def test_the_stack_serves_unless_another_model_is_clearly_better(name: str) -> None:
    random = np.random.default_rng(0)
    spent, noise = random.gamma(1.0, 50.0, 2000), random.normal(0.0, 20.0, 2000)
    stack, lucky, better = spent + 3.0 * noise, spent + 3.3 * noise, spent + noise
    stack[0] = better[0] = spent[0] + 5000.0  # of 2,000 customers one decides
    rmse = [value_metrics(spent, values)["rmse"] for values in (lucky, better, stack)]
    assert rmse == sorted(rmse)  # type: ignore[type-var]
    sets, entries = sets_of(spent, spent), {"lucky": entry(lucky), name: entry(stack)}
    assert choose_champion(entries, sets, None, 50, 0)[0] == name
    champion, chosen = choose_champion(entries | {"better": entry(better)}, sets, None, 50, 0)
    assert champion == "better" and "the stack, unless others' squared errors" in chosen.rule
    assert chosen.clearly_better == ["better"]
    without = choose_champion({"lucky": entry(lucky)}, sets, None, 50, 0)[1]
    assert without.clearly_better is None and without.rule.startswith("least RMSE ")
    biased = {"lucky": entry(lucky), name: entry(1.3 * stack)}
    assert choose_champion(biased, sets, None, 50, 0)[0] == "lucky"


def test_where_there_is_a_backtest_it_chooses_and_models_that_were_not_there_are_left_to_be_judged() -> (
    None
):
    earlier = np.concatenate([ACTUAL, ACTUAL])
    sets = replace(sets_of(ACTUAL, ACTUAL), backtest=sets_of(ACTUAL, earlier))
    young = Forecast(
        ACTUAL, ACTUAL, 1.0, backtest=earlier * 1.05
    )  # right on selection, less so as time passes
    old, llama = Forecast(ACTUAL + 1, ACTUAL, 1.0, backtest=earlier), Forecast(ACTUAL, ACTUAL, 1.0)
    champion, chosen = choose_champion(
        {"young": young, "old": old, "llama": llama}, sets, None, 50, 0
    )
    assert champion == "old" and chosen.num_customers == len(earlier)
    assert "in the backtest at 2024-01-01 over 60 days" in chosen.rule
    assert set(chosen.backtest or ()) == {"young", "old"} and set(chosen.models) == {
        "young",
        "old",
        "llama",
    }
    assert choose_champion({"llama": llama}, sets, None, 50, 0)[0] == "llama"


def test_budget_rules_out_slow_models_and_says_where_none_is_left() -> None:
    slow, fast = entry(ACTUAL, speed=3.0), entry(ACTUAL[::-1], speed=1000.0)
    assert champion_of(slow=slow, fast=fast) == "slow"
    assert champion_of(50.0, slow=slow, fast=fast) == "fast"
    with pytest.raises(ValueError, match="score_budget_customers_per_second 5000"):
        champion_of(5000.0, slow=slow, fast=fast)


def test_champion_does_not_depend_on_the_test_window() -> None:
    names = {"a": entry(ACTUAL + 1, test=ACTUAL * 9), "b": entry(ACTUAL[::-1], test=ACTUAL)}
    assert choose_champion(names, sets_of(ACTUAL, ACTUAL), None, 50, 0) == choose_champion(
        names, sets_of(ACTUAL, ACTUAL * 7), None, 50, 0
    )


def test_selection_without_any_spend_still_has_a_champion() -> None:
    zero = np.zeros(5)
    assert choose_champion({"a": entry(zero)}, sets_of(zero, zero), None, 50, 0)[0] == "a"


def test_both_backtests_count_where_all_candidates_were_in_both() -> None:
    """`first` was better one horizon ago, `second` by far in the same season; models are otherwise alike."""
    near, far = ACTUAL + 2.0, ACTUAL[::-1] + 1.0
    sets = replace(
        sets_of(ACTUAL, ACTUAL),
        backtest=sets_of(ACTUAL, ACTUAL),
        same_season=sets_of(ACTUAL, 10 * ACTUAL),
    )
    first = Forecast(ACTUAL, ACTUAL, 1.0, backtest=ACTUAL, same_season=10 * far)
    second = Forecast(ACTUAL, ACTUAL, 1.0, backtest=near, same_season=10 * ACTUAL)
    champion, chosen = choose_champion({"first": first, "second": second}, sets, None, 50, 0)
    assert champion == "second" and chosen.num_customers == 2 * len(ACTUAL)
    assert chosen.same_season is not None and chosen.same_season["second"].rmse == 0
    assert chosen.backtest is not None and chosen.backtest["first"].rmse == 0
    absent = replace(second, same_season=None)
    champion, chosen = choose_champion({"first": first, "second": absent}, sets, None, 50, 0)
    assert champion == "first" and chosen.num_customers == len(ACTUAL)
    windows = backtests_of({"first": first, "second": absent}, sets)
    assert [(one.is_same_season, one.models) for one in windows] == [
        (False, ["first", "second"]),
        (True, ["first"]),
    ]
