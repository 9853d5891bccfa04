"""The training loop inside one process: which rows a step takes, accumulation, validation."""

import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from scipy import stats

from lifecycle.llama.decoder import load_tokenizer, pad_tokens
from lifecycle.llama.member import decoder_of, read_member
from lifecycle.llama.text_model import load_value_model
from lifecycle.spend.ziln import ziln_loss
from tests.builders import TinyShop
from training.tasks.recipes.union import TrainConfig

pytestmark = pytest.mark.usefixtures("deepspeed_environment")


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


@pytest.mark.usefixtures("deepspeed_environment")
def test_loss_that_is_no_number_ends_the_run_at_its_step(config: TrainConfig) -> None:
    from training.loop.worker import start_run

    run = start_run(config.model_dump(mode="json"))
    run.take_step(0)
    with torch.no_grad():
        next(parameter for parameter in run.engine.parameters()).fill_(float("nan"))
    with pytest.raises(ValueError, match="the loss is nan at step 2, .*lower optimizer.learning_r"):
        run.take_step(1)


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


@pytest.mark.integration
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
        "examples": str(examples),
        "base_model": str(base_model),
        "output": str(tmp_path),
        "epochs": 120,
        "global_batch": 8,
        "lora": {"rank": 4, "alpha": 8, "targets": targets},
        "optimizer": {"learning_rate": 1e-2, "head_learning_rate": 1e-2},
    }
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
    for step in range(120):
        run.take_step(step)
    run.export(None)
    model, _ = load_value_model(
        tmp_path / "member", decoder_of(read_member(tmp_path / "member")), torch.float32
    )
    with torch.inference_mode():
        logits = run.engine(*inputs)
        torch.testing.assert_close(model(*inputs), logits, rtol=1e-4, atol=1e-4)
    assert float(ziln_loss(logits, scaled)) < before - 1.5
