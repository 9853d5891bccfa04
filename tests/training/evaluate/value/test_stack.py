"""LLaMA encoders in the stack: their share, their speed, and no customer that judges what it has shaped."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from lightgbm import Booster

from lifecycle.names import STACK, STACK_OVER_BUDGET, STACK_WITHOUT_LLAMA
from lifecycle.spend.blend import fit_shares
from lifecycle.spend.stack import Stack, shares_of
from training.evaluate.value.forecasts import Forecast
from training.evaluate.value.stack import join_members, join_others
from training.evaluate.value.windows import ExampleSets, target_of

NUM_CUSTOMERS = 1000
NO_TREES: dict[str, Booster] = {}
STACK_ALONE = Stack(NO_TREES, None, {}, 60)


def arena(text_speed: float = 10.0) -> tuple[dict[str, Forecast], ExampleSets]:
    """A stack, two encoders with errors of their own, one of them too high by a half, and what was spent."""
    random = np.random.default_rng(0)
    mean = random.gamma(1.0, 50.0, (2, NUM_CUSTOMERS))
    actual = mean * random.gamma(10.0, 0.1, mean.shape)
    stack, text, sequence = (mean * random.lognormal(-0.08, 0.4, mean.shape) for _ in range(3))
    frames = [
        pl.DataFrame(
            {
                "customer_id": [f"c{row}" for row in range(NUM_CUSTOMERS)],
                "target": spent,
                "actual_net": spent,
                "fold": np.arange(NUM_CUSTOMERS) % 5,
            }
        )
        for spent in (actual[0], actual[0], actual[1])
    ]
    entries = {
        STACK: Forecast(stack[0], stack[1], 1000.0),
        "text_llama": Forecast(1.5 * text[0], 1.5 * text[1], text_speed),
        "sequence_llama": Forecast(sequence[0], sequence[1], 100.0),
    }
    return entries, ExampleSets(*frames, horizon_days=60)


def error(entry: Forecast, sets: ExampleSets) -> float:
    return float(np.sqrt(np.mean((entry.test - sets.test["target"].to_numpy()) ** 2)))


def test_encoders_that_err_differently_make_the_stack_better_and_keep_its_total() -> None:
    entries, sets = arena()
    joined, stack = join_members(entries, STACK_ALONE, sets, None)
    assert (
        list(joined) == [*entries, STACK_WITHOUT_LLAMA]
        and joined[STACK_WITHOUT_LLAMA] is entries[STACK]
    )
    assert error(joined[STACK], sets) < 0.9 * error(entries[STACK], sets)
    assert joined[STACK].test.sum() == pytest.approx(entries[STACK].test.sum(), rel=1e-9)
    assert set(stack.members) == {"text_llama", "sequence_llama"}
    assert joined[STACK].customers_per_second == pytest.approx(1 / (1 / 1000 + 1 / 10 + 1 / 100))


def test_blend_on_the_test_window_is_that_of_the_stack_as_served() -> None:
    entries, sets = arena()
    joined, stack = join_members(entries, STACK_ALONE, sets, None)
    shares = stack.members
    by_hand = (1 - sum(member.share for member in shares.values())) * entries[STACK].test
    for name, member in shares.items():
        by_hand = by_hand + member.share * member.scale * entries[name].test
    np.testing.assert_allclose(joined[STACK].test, by_hand, rtol=1e-12)


def test_selection_customer_is_blended_with_shares_learned_from_others() -> None:
    entries, sets = arena()
    joined, _ = join_members(
        {STACK: entries[STACK], "text_llama": entries["text_llama"]}, STACK_ALONE, sets, None
    )
    fold, actual = sets.selection["fold"].to_numpy(), sets.selection["target"].to_numpy()
    alone, text = entries[STACK].selection, entries["text_llama"].selection
    text = text * alone.sum() / text.sum()
    share = fit_shares(alone[fold != 2], {"text": text[fold != 2]}, actual[fold != 2])["text"]
    np.testing.assert_allclose(
        joined[STACK].selection[fold == 2], ((1 - share) * alone + share * text)[fold == 2]
    )


def test_where_all_encoders_were_in_the_backtest_it_sets_the_shares() -> None:
    entries, sets = arena()
    aged = np.random.default_rng(1).permutation(
        entries["text_llama"].selection
    )  # of no use one horizon later
    stack = replace(entries[STACK], backtest=entries[STACK].selection)
    both = {
        STACK: stack,
        "text_llama": replace(entries["text_llama"], backtest=aged),
        "sequence_llama": replace(
            entries["sequence_llama"], backtest=entries["sequence_llama"].selection
        ),
    }
    tested = replace(sets, backtest=replace(sets, test=sets.selection))
    joined, found = join_members(both, STACK_ALONE, tested, None)
    assert set(found.members) == {"sequence_llama"}
    blended = joined[STACK].backtest
    assert blended is not None and stack.backtest is not None
    actual = target_of(sets.selection)
    assert np.mean((blended - actual) ** 2) < np.mean((stack.backtest - actual) ** 2)
    without_text = both | {
        "text_llama": entries["text_llama"]
    }  # which would earn a share on the selection customers
    joined, found = join_members(without_text, STACK_ALONE, tested, None)
    assert set(found.members) == {"sequence_llama"} and joined[STACK].backtest is not None
    nobody_there = {STACK: stack, "text_llama": entries["text_llama"]}
    joined, found = join_members(nobody_there, STACK_ALONE, tested, None)
    assert set(found.members) == {"text_llama"} and joined[STACK].backtest is None
    useless = {STACK: stack, "text_llama": Forecast(stack.selection, stack.test, 10.0)}
    joined, found = join_members(useless, STACK_ALONE, tested, None)
    assert not found.members and joined[STACK].backtest is stack.backtest, (
        "what it was, it still is"
    )


def test_outcomes_of_the_test_window_change_nothing() -> None:
    entries, sets = arena()
    shuffled = sets.test.with_columns(pl.col("target").shuffle(seed=1))
    other = ExampleSets(sets.train, sets.selection, shuffled, 60)
    once, again = (join_members(entries, STACK_ALONE, each, None) for each in (sets, other))
    np.testing.assert_array_equal(once[0][STACK].test, again[0][STACK].test)
    assert once[1] == again[1]


def test_budget_keeps_the_slow_encoder_out_and_says_what_that_costs() -> None:
    entries, sets = arena()
    joined, stack = join_members(entries, STACK_ALONE, sets, 50.0)
    assert set(stack.members) == {"sequence_llama"}
    assert joined[STACK].customers_per_second > 50 > joined[STACK_OVER_BUDGET].customers_per_second
    assert (
        error(joined[STACK_OVER_BUDGET], sets)
        < error(joined[STACK], sets)
        < error(entries[STACK], sets)
    )
    nobody, alone = join_members(entries, STACK_ALONE, sets, 500.0)
    assert alone.members == {}
    np.testing.assert_allclose(nobody[STACK].test, entries[STACK].test)


def test_blend_over_budget_is_too_slow_to_be_chosen_even_where_its_slow_encoder_has_no_share() -> (
    None
):
    entries, sets = arena()
    text = entries["text_llama"]
    shuffled = np.random.default_rng(1).permutation(text.selection)
    useless = entries | {"text_llama": Forecast(shuffled, text.test, text.customers_per_second)}
    joined, stack = join_members(useless, STACK_ALONE, sets, 50.0)
    assert set(stack.members) == {"sequence_llama"}
    assert joined[STACK_OVER_BUDGET].customers_per_second < 50


def test_encoder_that_makes_the_blend_not_clearly_better_has_no_share() -> None:
    entries, sets = arena()
    noise = np.random.default_rng(1).lognormal(0.0, 0.05, NUM_CUSTOMERS)
    stack = entries[STACK].selection
    alike = {
        STACK: entries[STACK],
        "text_llama": Forecast(stack * noise, entries[STACK].test, 10.0),
    }
    exact = {
        STACK: Forecast(target_of(sets.selection), entries[STACK].test, 1000.0),
        "text_llama": entries["text_llama"],
    }
    for each in (alike, exact):
        joined, found = join_members(each, STACK_ALONE, sets, None)
        assert not found.members
        np.testing.assert_array_equal(joined[STACK].selection, each[STACK].selection)
        np.testing.assert_allclose(joined[STACK].test, each[STACK].test)


def test_without_encoders_the_stack_stays_as_it_is() -> None:
    entries, sets = arena()
    alone = {STACK: entries[STACK]}
    assert join_members(alone, STACK_ALONE, sets, None) == (alone, STACK_ALONE)


def test_other_models_join_by_the_backtest_alone_and_encoders_join_them() -> None:
    entries, sets = arena()
    stack, ziln = (
        replace(entries[name], backtest=entries[name].selection)
        for name in (STACK, "sequence_llama")
    )
    found = {STACK: stack, "ziln": ziln}
    assert join_others(found, STACK_ALONE, sets) == (found, STACK_ALONE), "there was no backtest"
    tested = replace(sets, backtest=replace(sets, test=sets.selection))
    joined, with_ziln = join_others(found, STACK_ALONE, tested)
    assert set(with_ziln.others) == {"ziln"} and error(joined[STACK], sets) < 0.9 * error(
        stack, sets
    )
    assert join_others(found, STACK_ALONE, tested, ["ziln"])[1].others == {}
    text = entries["text_llama"]
    joined, both = join_members(joined | {"text_llama": text}, with_ziln, tested, None)
    assert joined[STACK_WITHOUT_LLAMA].test.sum() == pytest.approx(stack.test.sum())
    shares = shares_of(both)
    assert set(shares) == {"trees", "ziln", "text_llama"} and sum(shares.values()) == pytest.approx(
        1
    )
    by_hand = sum(
        share * values * stack.test.sum() / values.sum()
        for share, values in zip(shares.values(), (stack.test, ziln.test, text.test), strict=True)
    )
    np.testing.assert_allclose(joined[STACK].test, by_hand, rtol=1e-9)
