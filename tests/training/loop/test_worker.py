"""The training loop inside one process: which rows a step takes, accumulation, validation."""

import math
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from safetensors.torch import load_file
from scipy import stats

from lifecycle.llama.decoder import load_tokenizer, pad_tokens
from lifecycle.llama.member import decoder_of, read_member
from lifecycle.llama.text_model import load_value_model
from lifecycle.spend.ziln import ziln_loss
from tests.builders import TinyShop, kept_process_state
from training.loop.deepspeed_op import prepare_deepspeed
from training.tasks.recipes.union import TrainConfig, parse_recipe


@pytest.fixture(scope="module", autouse=True)
def deepspeed_environment() -> Iterator[None]:
    """What a worker's shim does before it imports the loop."""
    with kept_process_state():
        prepare_deepspeed("cpu")
        yield


@pytest.fixture
def config(tiny_shop: TinyShop, tiny_base_model: Path, tmp_path: Path) -> TrainConfig:
    return parse_recipe(
        {
            "data": tiny_shop.data, "examples": tiny_shop.examples, "base_model": str(tiny_base_model),
            "lora": {"rank": 4}, "max_tokens": 320, "dtype": "fp32", "attention": "eager", "global_batch": 20,
            "micro_batch": 4, "epochs": 3, "validation_rows": 10, "num_workers": 0, "output": tmp_path,
        }
    )  # fmt: skip


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


def test_micro_batches_times_accumulation_do_not_change_the_losses(config: TrainConfig) -> None:
    from training.loop.worker import start_run

    losses = {}
    for micro_batch in (4, 2, 1):
        settings = config.model_dump(mode="json") | {
            "global_batch": 4,
            "micro_batch": micro_batch,
            "max_steps": 6,
        }
        run = start_run(settings)
        # A step takes the same rows whatever the micro-batch.
        run.order.sorted_window = 0
        run.order.sorted_batches = np.arange(24).reshape(6, 4), np.zeros((6, 4), dtype=int)
        losses[micro_batch] = []
        for step in range(6):
            run.take_step(step)
            losses[micro_batch].append(run.loss)
    assert len(set(losses[4])) == 6
    np.testing.assert_allclose(losses[2], losses[4], rtol=1e-4)
    np.testing.assert_allclose(losses[1], losses[4], rtol=1e-4)


def test_gradient_checkpointing_recomputes_every_layer_from_the_first_step(
    config: TrainConfig,
) -> None:
    from training.loop.worker import start_run

    settings = config.model_dump(mode="json") | {"global_batch": 4}
    calls: dict[bool, list[int]] = {False: [], True: []}
    for checkpointing, called in calls.items():
        run = start_run(settings | {"gradient_checkpointing": checkpointing})
        for number, layer in enumerate(run.engine.module.decoder.base_model.model.layers):
            layer.register_forward_pre_hook(
                lambda *_, number=number, called=called: called.append(number)
            )
        run.take_step(0)
    assert calls == {False: [0, 1], True: [0, 1, 1, 0]}


def test_validation_before_training_is_that_of_one_lognormal_for_all(
    config: TrainConfig, tiny_shop: TinyShop
) -> None:
    from training.loop.worker import start_run

    run = start_run(config.model_dump(mode="json") | {"validation_rows": 10**6})
    found = run.validate()
    train, val = (
        pl.read_parquet(tiny_shop.examples / f"{part}.parquet")["target"].to_numpy()
        for part in ("train", "val")
    )
    buyers = train[train > 0]
    share, logs = (len(buyers) + 1) / (len(train) + 2), np.log(buyers)
    sigma, scale = logs.std(ddof=1), np.exp(logs.mean())
    spent = val[val > 0]
    # The loss is in units of the scale: densities there are `scale` times as large.
    density = stats.lognorm.logpdf(spent, s=sigma, scale=scale) + np.log(scale)
    loss = -(
        len(spent) * np.log(share) + density.sum() + (len(val) - len(spent)) * np.log(1 - share)
    ) / len(val)
    assert found["val_loss"] == pytest.approx(loss, rel=1e-4)
    mean = share * stats.lognorm.mean(s=sigma, scale=scale)
    assert found["val_rmse"] == pytest.approx(np.sqrt(((val - mean) ** 2).mean()), rel=1e-4)


def test_prompt_over_max_tokens_ends_the_run_before_its_first_step(config: TrainConfig) -> None:
    from training.loop.worker import start_run

    with pytest.raises(ValueError, match=r"max_tokens is 50, but a prompt has \d+ tokens"):
        start_run(config.model_dump(mode="json") | {"max_tokens": 50})
    assert not (config.output / "progress.jsonl").exists()


def test_learning_rate_warms_up_and_decays_for_decoder_and_head(config: TrainConfig) -> None:
    from training.loop.worker import start_run

    settings = config.model_dump(mode="json") | {"global_batch": 4, "max_steps": 40}
    settings["optimizer"] = {
        "learning_rate": 1e-3,
        "head_learning_rate": 4e-3,
        "warmup_share": 0.25,
        "final_share": 0.1,
    }
    run = start_run(settings)
    rates = []
    for step in range(40):
        run.take_step(step)
        rates.append([group["lr"] for group in run.engine.optimizer.param_groups])
    decoder, head = np.array(rates).T
    np.testing.assert_allclose(head, 4 * decoder, rtol=1e-6)
    assert decoder.argmax() in (9, 10) and decoder.max() == pytest.approx(1e-3, rel=0.02)
    assert (np.diff(decoder[:9]) > 0).all() and (np.diff(decoder[11:]) < 0).all()
    assert decoder[-1] == pytest.approx(1e-4, rel=0.05)
    halfway = 1e-3 * (0.1 + 0.9 * 0.5 * (1 + np.cos(np.pi * 0.5)))
    assert decoder[24] == pytest.approx(halfway, rel=0.06)
    assert torch.isfinite(torch.tensor(run.loss))


@pytest.mark.parametrize(
    ("base", "targets"),
    [("tiny_base_model", ["q_proj", "up_proj"]), ("gpt2_base_model", ["c_attn", "c_proj"])],
)
def test_a_batch_is_memorised_and_the_member_gives_the_same_logits(
    config: TrainConfig,
    base: str,
    targets: list[str],
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    from training.loop.worker import start_run

    base_model: Path = request.getfixturevalue(base)
    examples = shutil.copytree(config.examples, tmp_path / "examples")
    few = pl.read_parquet(examples / "train.parquet").filter(pl.col("target") > 0).head(8)
    few.write_parquet(examples / "train.parquet")
    changes = {
        "examples": str(examples), "base_model": str(base_model), "output": str(tmp_path), "epochs": 80,
        "global_batch": 8, "lora": {"rank": 4, "alpha": 8, "targets": targets},
        "optimizer": {"learning_rate": 1e-2, "head_learning_rate": 1e-2},
    }  # fmt: skip
    run = start_run(config.model_dump(mode="json") | changes)
    tokenizer = load_tokenizer(base_model)
    inputs = pad_tokens(tokenizer(few["prompt"].to_list())["input_ids"], tokenizer.pad_token_id)
    logs = np.log(few["target"].to_numpy())
    scaled = torch.tensor(np.exp(logs - logs.mean()))
    with torch.inference_mode():
        before = float(ziln_loss(run.engine(*inputs), scaled))
    # All eight buy, at one lognormal for all; in units of the geometric mean.
    one_for_all = -np.log(9 / 10) - stats.norm.logpdf(logs, logs.mean(), logs.std(ddof=1)).mean()
    assert before == pytest.approx(one_for_all, rel=1e-4)
    for step in range(80):
        run.take_step(step)
    run.export(None)
    model, _ = load_value_model(
        tmp_path / "member", decoder_of(read_member(tmp_path / "member")), torch.float32
    )
    with torch.inference_mode():
        logits = run.engine(*inputs)
        torch.testing.assert_close(model(*inputs), logits, rtol=1e-4, atol=1e-4)
    assert float(ziln_loss(logits, scaled)) < before - 1.5


def test_member_has_the_weights_of_least_validation_loss(config: TrainConfig) -> None:
    from training.loop.best import BEST_FILE, Best, trained_weights
    from training.loop.worker import start_run

    run = start_run(config.model_dump(mode="json") | {"optimizer": {"learning_rate": 1e-2}})
    best, kept = Best(config.output, first_step=0), dict[str, torch.Tensor]()
    for step, loss in enumerate((math.nan, 3.0, 1.0, 2.0, math.nan, 1.0)):
        run.take_step(step)
        best.offer(run.engine, {"val_loss": loss, "val_rmse": float(step)})
        kept = trained_weights(run.engine) if step == 2 else kept
    resumed = Best(config.output, first_step=6)
    assert resumed.metrics == {"val_loss": 1.0, "val_rmse": 2.0}
    run.export(resumed)
    assert read_member(config.output / "member").metrics == {"val_loss": 1.0, "val_rmse": 2.0}
    last = trained_weights(run.engine)
    for name, weight in load_file(config.output / "member" / "head.safetensors").items():
        torch.testing.assert_close(weight, kept[f"head.{name}"])
        assert not torch.equal(weight, last[f"head.{name}"])
    assert not (config.output / BEST_FILE).exists()


def test_damaged_best_weights_are_put_aside(config: TrainConfig) -> None:
    from training.loop.best import BEST_FILE, Best
    from training.loop.worker import start_run

    run = start_run(config.model_dump(mode="json"))
    Best(config.output, first_step=0).offer(run.engine, {"val_loss": 1.0})
    path = config.output / BEST_FILE
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert Best(config.output, first_step=4).metrics is None and not path.exists()


def test_best_weights_of_a_run_without_a_checkpoint_are_not_those_of_the_next(
    config: TrainConfig,
) -> None:
    from training.loop.best import Best
    from training.loop.worker import start_run

    run = start_run(config.model_dump(mode="json"))
    Best(config.output, first_step=0).offer(run.engine, {"val_loss": 1.0})
    assert Best(config.output, first_step=0).metrics is None
