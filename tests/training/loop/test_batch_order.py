"""Which rows a step takes: every epoch all of them, of similar length in a forward pass."""

import numpy as np
import polars as pl
import pytest

from tests.builders import TinyShop
from training.tasks.recipes.union import TrainConfig

pytestmark = pytest.mark.usefixtures("deepspeed_environment")


def test_every_epoch_takes_every_row_once(config: TrainConfig, tiny_shop: TinyShop) -> None:
    from training.loop.worker import start_run

    run = start_run(config.model_dump(mode="json"))
    num_rows = pl.read_parquet(tiny_shop.examples / "train.parquet").height
    assert num_rows % config.global_batch, (
        "steps must reach over the end of an epoch for this test to mean anything"
    )
    assert run.num_steps == 3 * num_rows // 20
    rows, epochs = (
        np.concatenate(parts)
        for parts in zip(*(run.order.step(step) for step in range(run.num_steps)), strict=True)
    )
    taken = [rows[epochs == epoch] for epoch in range(3)]
    for complete in taken[:2]:
        assert sorted(complete) == list(range(num_rows))
    assert (taken[0] != taken[1]).any() and (taken[0] != np.arange(num_rows)).any()
    assert len(taken[2]) == len(set(taken[2])) == run.num_steps * 20 - 2 * num_rows


def test_forward_passes_hold_prompts_of_similar_length(
    config: TrainConfig, tiny_shop: TinyShop
) -> None:
    from training.loop.worker import start_run

    prompts = pl.read_parquet(tiny_shop.examples / "train.parquet")["prompt"].to_list()
    num_bytes = np.array(
        [len(prompt.encode()) for prompt in prompts]
    )  # the tokenizer has one token per byte
    run = start_run(config.model_dump(mode="json"))
    passes = np.concatenate([run.order.step(step)[0] for step in range(16)]).reshape(
        -1, config.micro_batch
    )
    padding = (
        1 - num_bytes[passes].sum() / (num_bytes[passes].max(axis=1) * config.micro_batch).sum()
    )
    shuffled = np.random.default_rng(0).permutation(passes.ravel()).reshape(passes.shape)
    without = (
        1 - num_bytes[shuffled].sum() / (num_bytes[shuffled].max(axis=1) * config.micro_batch).sum()
    )
    assert padding < 0.01 < 0.03 < without
    means = num_bytes[passes].mean(axis=1)
    assert (np.diff(means) > 0).any() and (np.diff(means) < 0).any(), (
        "short prompts must not all come first"
    )


def test_every_step_is_a_fair_draw_of_short_and_long_and_no_worker_of_two_waits(
    config: TrainConfig, tiny_shop: TinyShop
) -> None:
    from training.loop.worker import start_run

    prompts = pl.read_parquet(tiny_shop.examples / "train.parquet")["prompt"].to_list()
    num_bytes = np.array([len(prompt.encode()) for prompt in prompts])
    run = start_run(config.model_dump(mode="json") | {"global_batch": 16, "micro_batch": 2})
    steps = [run.order.step(step)[0] for step in range(16)]
    quartiles = np.sort(num_bytes[np.concatenate(steps)]).reshape(4, -1)
    for rows in steps:
        taken = num_bytes[rows].reshape(4, 4)  # two micro-batches of each quarter
        assert (taken >= quartiles[:, :1]).all() and (taken <= quartiles[:, -1:]).all()
        # Neighbours take turns: what two workers differ by adds up to no more than each quarter's range.
        first, second = taken.reshape(4, 2, 2).sum(axis=2).T
        assert (first <= second).all()
        assert (second - first <= taken.max(axis=1) - taken.min(axis=1)).all()


def test_rows_of_a_step_depend_on_seed_and_step_alone(config: TrainConfig) -> None:
    """So every worker knows its share, and a resumed run takes what the lost one would have taken."""
    from training.loop.worker import start_run

    first = start_run(config.model_dump(mode="json"))
    in_order = [first.order.step(step)[0] for step in range(32)]
    other = start_run(config.model_dump(mode="json") | {"max_steps": 32})
    for step in (31, 17, 18, 0):
        np.testing.assert_array_equal(other.order.step(step)[0], in_order[step])
    shares = [in_order[17][rank::4] for rank in range(4)]
    assert sorted(np.concatenate(shares)) == sorted(in_order[17]) and {
        len(share) for share in shares
    } == {5}
    reseeded = start_run(config.model_dump(mode="json") | {"seed": 1})
    assert (reseeded.order.step(17)[0] != in_order[17]).any()
