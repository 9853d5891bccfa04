"""Training the sequence encoder inside one process: its rows, labels and batches, and the member."""

import json
import shutil
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from safetensors.torch import load_file

from lifecycle.events.shards import read_items
from lifecycle.llama.member import read_member
from lifecycle.llama.predict import load_member
from lifecycle.llama.sequence_files import WEIGHTS_FILE
from lifecycle.llama.titles import load_title_encoder
from tests.builders import TinyShop
from training.prepare.job import prepare
from training.prepare.recipe import PrepareConfig
from training.run.job import train
from training.tasks.recipes.union import TrainConfig, parse_recipe
from training.tasks.sequence import SequenceTask

pytestmark = pytest.mark.usefixtures("deepspeed_environment")


@pytest.fixture(scope="module")
def task(sequence_config: TrainConfig) -> SequenceTask:
    return SequenceTask(sequence_config)


@pytest.fixture(scope="module")
def trained(sequence_config: TrainConfig) -> Path:
    """The run's folder."""
    train(sequence_config)
    return sequence_config.output


def test_an_epoch_takes_every_customer_and_forward_passes_hold_similar_lengths(
    sequence_config: TrainConfig,
) -> None:
    from training.loop.batch_order import WINDOW
    from training.loop.worker import start_run

    run = start_run(
        sequence_config.model_dump(mode="json")
        | {"global_batch": 16, "micro_batch": 8, "epochs": 100}
    )
    steps = [run.order.step(step) for step in range(WINDOW)]
    window = np.concatenate([rows for rows, _ in steps])
    expected, epochs = run.order._stream(0, WINDOW * 16)
    assert sorted(window) == sorted(expected)
    assert sorted(np.concatenate([part for _, part in steps])) == sorted(epochs)
    padded = real = 0
    for rows, drawn in steps:
        lengths = run.task.lengths(rows, drawn).reshape(-1, 8)
        padded, real = padded + lengths.max(axis=1).sum() * 8, real + lengths.sum()
    assert 1 - real / padded < 0.10
    again = start_run(
        sequence_config.model_dump(mode="json")
        | {"global_batch": 16, "micro_batch": 8, "epochs": 100}
    )
    for step in (9, 2):
        np.testing.assert_array_equal(again.order.step(step)[0], steps[step][0])


def test_validation_loss_falls_and_the_member_says_what_it_is(
    trained: Path, sequence_config: TrainConfig
) -> None:
    manifest = read_member(trained / "member")
    assert (manifest.name, manifest.encoder, manifest.horizon_days) == (
        "sequence_llama",
        "sequence",
        60,
    )
    lines = [json.loads(line) for line in (trained / "progress.jsonl").read_text().splitlines()]
    losses = [line["val_loss"] for line in lines if "val_loss" in line]
    assert len(losses) > 3 and losses[-1] < losses[0] - 0.02
    assert not [
        path for path in (trained / "member").iterdir() if path.suffix in (".pt", ".bin", ".pkl")
    ]


def test_member_predicts_what_validation_saw(
    trained: Path, task: SequenceTask, events: pl.DataFrame
) -> None:
    predict = load_member(trained / "member", read_items(task.config.data))
    val = pl.read_parquet(task.config.examples / "val.parquet").with_columns(prompt=pl.lit(""))
    spend = predict(val, events)
    assert spend.shape == (val.height,) and (spend >= 0).all()
    error = np.sqrt(np.mean((spend - val["target"].to_numpy()) ** 2))
    metrics = read_member(trained / "member").metrics
    assert error == pytest.approx(metrics["val_rmse"], rel=1e-4)
    assert np.corrcoef(spend, val["target"].to_numpy())[0, 1] > 0.25
    past = events.filter(pl.col("occurred_at") < val["cutoff"][0])
    np.testing.assert_array_equal(predict(val, past), spend)


def test_member_that_reads_titles_predicts_what_validation_saw_without_the_base_model(
    sequence_config: TrainConfig,
    tiny_base_model: Path,
    tiny_shop: TinyShop,
    events: pl.DataFrame,
    tmp_path: Path,
) -> None:
    base_model = tmp_path / "base"
    shutil.copytree(tiny_base_model, base_model)
    changes = {"base_model": str(base_model), "epochs": 3, "output": tmp_path / "run"}
    train(sequence_config.model_copy(update=changes))
    shutil.rmtree(base_model)
    manifest = read_member(tmp_path / "run" / "member")
    assert manifest.titles_by is not None and manifest.titles_by.revision == "tiny-llama"
    val = pl.read_parquet(tiny_shop.examples / "val.parquet").with_columns(prompt=pl.lit(""))
    spend = load_member(tmp_path / "run" / "member", read_items(tiny_shop.data))(val, events)
    error = np.sqrt(np.mean((spend - val["target"].to_numpy()) ** 2))
    assert error == pytest.approx(manifest.metrics["val_rmse"], rel=1e-4)


def test_member_of_another_sequence_version_is_refused(trained: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(trained / "member", tmp_path / "member"))
    manifest = json.loads((copy / "manifest.json").read_text())
    (copy / "manifest.json").write_text(json.dumps(manifest | {"sequence_version": "sequence-0"}))
    with pytest.raises(
        ValueError, match="sequence version 'sequence-0'; this version writes 'sequence-2'"
    ):
        read_member(copy)


def test_a_run_that_starts_from_a_member_is_ahead_of_one_from_scratch(
    trained: Path, sequence_config: TrainConfig, tmp_path: Path
) -> None:
    losses = []
    for name, start in (("after", trained / "member"), ("scratch", None)):
        changes = {"start_from": start, "max_steps": 4, "output": tmp_path / name}
        train(sequence_config.model_copy(update=changes))
        losses.append(read_member(tmp_path / name / "member").metrics["val_loss"])
    assert losses[0] < losses[1]
    wider = sequence_config.sequence.model_copy(update={"hidden_size": 48})
    with pytest.raises(ValueError, match="has sequence.hidden_size 32, the recipe 48"):
        train(
            sequence_config.model_copy(
                update={
                    "start_from": trained / "member",
                    "sequence": wider,
                    "output": tmp_path / "x",
                }
            )
        )
    assert not (tmp_path / "x").exists()


def test_a_run_that_starts_from_a_member_reads_titles_as_that_member_does(
    sequence_config: TrainConfig, tiny_base_model: Path, gpt2_base_model: Path, tmp_path: Path
) -> None:
    reading = sequence_config.model_copy(
        update={"base_model": str(tiny_base_model), "max_steps": 2, "output": tmp_path / "run"}
    )
    train(reading)
    member = tmp_path / "run" / "member"
    other = reading.model_copy(update={"start_from": member, "output": tmp_path / "other"})
    task, theirs = SequenceTask(other), load_title_encoder(member)
    assert theirs is not None and task.title_encoder is not None
    torch.testing.assert_close(task.title_encoder.tokens, theirs.tokens, rtol=0, atol=0)
    model, _ = task.new_model(torch.float32)
    weights = load_file(member / WEIGHTS_FILE)
    torch.testing.assert_close(model.title.weight.detach(), weights["title.weight"], rtol=0, atol=0)
    train(other)
    for base_model in (None, str(gpt2_base_model)):
        with pytest.raises(
            ValueError, match="read by another base_model than the recipe's, or by none"
        ):
            train(other.model_copy(update={"base_model": base_model, "output": tmp_path / "x"}))


def test_a_member_that_knows_the_outcomes_of_the_test_is_no_start(
    trained: Path, sequence_config: TrainConfig, tiny_shop: TinyShop, tmp_path: Path
) -> None:
    earlier = PrepareConfig(
        data=tiny_shop.data,
        test_cutoff=date(2024, 8, 1),
        horizon_days=60,
        num_train_cutoffs=2,
        output=tmp_path / "e",
    )
    prepare(earlier)
    changes = {
        "examples": earlier.output,
        "start_from": trained / "member",
        "output": tmp_path / "run",
    }
    with pytest.raises(
        ValueError, match="learned what came before 2024-10-30, the recipe's test is at 2024-08-01"
    ):
        train(sequence_config.model_copy(update=changes))


def test_text_encoder_without_a_base_model_is_refused() -> None:
    with pytest.raises(ValueError, match="encoder text needs base_model"):
        parse_recipe({"data": "d", "examples": "e", "output": "o"})


def test_examples_without_values_are_refused(
    sequence_config: TrainConfig, tiny_shop: TinyShop, tmp_path: Path
) -> None:
    prepare(PrepareConfig(data=tiny_shop.data, split="leave_one_out", output=tmp_path / "loo"))
    with pytest.raises(
        ValueError, match="task value needs examples of split time; .*loo has split leave_one_out"
    ):
        train(
            sequence_config.model_copy(
                update={"examples": tmp_path / "loo", "output": tmp_path / "run"}
            )
        )
    assert not (tmp_path / "run").exists()
