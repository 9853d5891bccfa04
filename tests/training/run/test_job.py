"""`training.run` without a cluster: what it writes, when it has nothing to do, and what it refuses."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from lifecycle.llama.decoder import load_tokenizer, token_batches
from lifecycle.llama.lora import LoraSettings
from lifecycle.llama.member import read_member
from lifecycle.llama.predict import load_member
from lifecycle.llama.text_model import load_value_model
from tests.builders import TinyShop, kept_process_state
from training.prepare.dataset import examples_identity
from training.run.job import train
from training.tasks.identity import run_origin
from training.tasks.recipes.union import TrainConfig, load_recipe, parse_recipe

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def config(
    tiny_shop: TinyShop, tiny_base_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> TrainConfig:
    return parse_recipe(
        {
            "data": tiny_shop.data,
            "examples": tiny_shop.examples,
            "base_model": str(tiny_base_model),
            "lora": {"rank": 4, "alpha": 8},
            "max_tokens": 320,
            "dtype": "fp32",
            "attention": "eager",
            "optimizer": {"learning_rate": 2e-3, "head_learning_rate": 5e-3},
            "global_batch": 16,
            "micro_batch": 8,
            "epochs": 6,
            "validation_rows": 53,
            "checkpoint_every_steps": 30,
            "num_workers": 0,
            "tracking": None,
            "output": tmp_path_factory.mktemp("run") / "text",
        }
    )


@pytest.fixture(scope="module")
def trained(config: TrainConfig) -> TrainConfig:
    """The recipe after its run, started from the base model's folder so that its path is relative."""
    here = Path.cwd()
    base_model = Path(config.base_model)
    with kept_process_state():
        os.chdir(base_model.parent)
        try:
            train(config.model_copy(update={"base_model": base_model.name}))
        finally:
            os.chdir(here)
    return config


def progress(output: Path) -> list[dict[str, float]]:
    """The lines of progress.jsonl."""
    return [json.loads(line) for line in (output / "progress.jsonl").read_text().splitlines()]


def test_member_verifies_and_says_what_it_was_made_from(
    trained: TrainConfig, tiny_shop: TinyShop
) -> None:
    manifest = read_member(trained.output / "member")
    assert manifest.name == "text_llama"
    assert (manifest.task, manifest.encoder, manifest.horizon_days) == (
        "value",
        "text",
        60,
    )
    assert manifest.dataset == examples_identity(tiny_shop.examples)
    assert load_recipe(trained.output / "config.yaml").global_batch == 16


def test_progress_has_the_contracts_keys_and_the_validation_loss_falls(
    trained: TrainConfig,
) -> None:
    lines = progress(trained.output)
    num_steps = 6 * 342 // 16
    assert [line["step"] for line in lines if "val_loss" in line] == [30, 60, 90, 120, num_steps]
    for line in lines:
        assert {"step", "loss", "tokens_per_second", "eta_seconds"} <= set(line)
        assert line["tokens_per_second"] > 0 and line["eta_seconds"] >= 0
    assert lines[-1]["eta_seconds"] == 0
    untrained = float(pl.read_parquet(trained.examples / "val.parquet")["target"].std() or 0)
    assert lines[-1]["val_loss"] < lines[0]["loss"]
    assert lines[-1]["val_rmse"] < untrained


def test_member_alone_gives_the_validation_loss_it_reports(trained: TrainConfig) -> None:
    """The loss by hand, from the loaded model's logits: what is served is what was validated."""
    member = trained.output / "member"
    model, scale = load_value_model(member, trained.decoder, torch.float32)
    rows = pl.read_parquet(trained.examples / "val.parquet")
    tokenizer = load_tokenizer(trained.base_model)
    losses = np.zeros(rows.height)
    for chosen, ids, mask in token_batches(tokenizer, rows["prompt"].to_list(), 320, 7):
        with torch.inference_mode():
            buys, mu, raw = model(ids, mask).double().numpy().T
        spend = rows["target"].to_numpy()[chosen] / scale
        odds = np.exp(raw) * 0.95 / 2.0
        sigma = 0.05 + 2.95 * odds / (1 + odds)
        with np.errstate(divide="ignore"):
            z = (np.log(spend) - mu) / sigma
        density = -np.log(np.where(spend > 0, spend, 1) * sigma * np.sqrt(2 * np.pi)) - z**2 / 2
        losses[chosen] = np.where(
            spend > 0, np.log1p(np.exp(-buys)) - density, np.log1p(np.exp(buys))
        )
    metrics = read_member(member).metrics
    assert metrics["val_loss"] == pytest.approx(losses.mean(), rel=1e-4)


def test_second_call_leaves_a_complete_run_as_it_is(trained: TrainConfig) -> None:
    before = {path: path.stat().st_mtime_ns for path in trained.output.rglob("*") if path.is_file()}
    train(trained)
    train(trained.model_copy(update={"max_failures": 7}))
    assert {
        path: path.stat().st_mtime_ns for path in trained.output.rglob("*") if path.is_file()
    } == before


def test_another_recipe_into_a_complete_output_is_refused(trained: TrainConfig) -> None:
    with pytest.raises(
        ValueError, match="made from another config or other inputs: seed was 0 and is 1; delete it"
    ):
        train(trained.model_copy(update={"seed": 1}))


def test_another_recipe_into_an_unfinished_run_is_refused(
    config: TrainConfig, tmp_path: Path
) -> None:
    unfinished = config.model_copy(update={"output": tmp_path})
    unfinished.save(tmp_path / "config.yaml")
    (tmp_path / "progress.jsonl").write_text('{"step": 1}\n')
    optimizer = config.optimizer.model_copy(update={"learning_rate": 0.1})
    changed = {"optimizer": optimizer, "global_batch": 8}
    told = "optimizer.learning_rate was 0.002 and is 0.1, global_batch was 16 and is 8"
    with pytest.raises(
        ValueError,
        match=f"{tmp_path} holds a run of another recipe: {told}; go on with the recipe as it was,",
    ):
        train(unfinished.model_copy(update=changed))


def test_unfinished_run_whose_inputs_changed_meanwhile_is_refused(
    config: TrainConfig, tmp_path: Path
) -> None:
    unfinished = config.model_copy(update={"output": tmp_path})
    before = run_origin(unfinished).made_from | {"content of examples": "others"}
    (tmp_path / "made_from.json").write_text(json.dumps(before))
    (tmp_path / "progress.jsonl").write_text('{"step": 1}\n')
    with pytest.raises(ValueError, match='another recipe: content of examples was "others" and is'):
        train(unfinished)


def test_recipe_that_never_took_a_step_may_be_corrected(
    config: TrainConfig, tmp_path: Path
) -> None:
    mistaken = config.model_copy(update={"output": tmp_path, "max_tokens": 50})
    with kept_process_state():
        with pytest.raises(ValueError, match="max_tokens is 50, but a prompt has"):
            train(mistaken)
        with pytest.raises(ValueError, match="max_tokens is 51, but a prompt has"):
            train(mistaken.model_copy(update={"max_tokens": 51}))


def test_mistakes_are_found_before_anything_is_written(
    config: TrainConfig, tiny_base_model: Path, tmp_path: Path
) -> None:
    output = tmp_path / "text"
    mute = Path(shutil.copytree(tiny_base_model, tmp_path / "mute"))
    (mute / "tokenizer.json").unlink()
    deeper = Path(shutil.copytree(tiny_base_model, tmp_path / "deeper"))
    told = json.loads((deeper / "config.json").read_text())
    (deeper / "config.json").write_text(json.dumps(told | {"num_hidden_layers": 3}))
    for change, message in (
        ({"base_model": "nowhere"}, "base_model 'nowhere' is not a folder with config.json"),
        ({"base_model": str(mute)}, "mute has no tokenizer"),
        ({"base_model": str(deeper)}, "deeper lacks layers.2.input_layernorm.weight, "),
        ({"examples": tmp_path / "none"}, "does not exist"),
        ({"global_batch": 8000}, "global_batch is 8000, but the run has only 342 rows"),
        (
            {"activation_cache": tmp_path / "cache", "lora": LoraSettings(num_layers=2)},
            "lora.num_layers is 2; activation_cache needs fewer than all 2 layers",
        ),
    ):
        with pytest.raises(ValueError, match=message):
            train(config.model_copy(update={"output": output, **change}))
        assert not output.exists()


def changed_member(trained: TrainConfig, folder: Path, **changes: object) -> Path:
    """A copy of the member whose manifest says something else."""
    shutil.copytree(trained.output / "member", folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(manifest | changes))
    return folder


def test_member_trained_with_flash_attention_on_a_gpu_serves_on_a_cpu(
    trained: TrainConfig, tmp_path: Path
) -> None:
    gpu = {"attention": "flash_attention_2", "device": "gpu"}
    recipe = trained.model_dump(mode="json") | gpu
    folder = changed_member(trained, tmp_path / "gpu", recipe=recipe, attention="flash_attention_2")
    rows = pl.read_parquet(trained.examples / "val.parquet").head(5)
    expected = load_member(trained.output / "member", pl.DataFrame())(rows, pl.DataFrame())
    np.testing.assert_array_equal(
        load_member(folder, pl.DataFrame())(rows, pl.DataFrame()), expected
    )


def test_member_of_another_prompt_version_is_refused_by_name(
    trained: TrainConfig, tmp_path: Path
) -> None:
    folder = changed_member(trained, tmp_path / "old", prompt_version="value-0")
    with pytest.raises(
        ValueError, match=f"member {folder} was trained on prompt version 'value-0'.*train it again"
    ):
        read_member(folder)


def test_member_of_a_base_model_that_changed_is_refused(
    trained: TrainConfig, tmp_path: Path
) -> None:
    base = {"path": trained.base_model, "sha256": "0" * 64}
    folder = changed_member(trained, tmp_path / "other", base_model=base)
    with pytest.raises(
        ValueError, match=f"member {folder}: base model .* is not the one it was trained on"
    ):
        read_member(folder)


@pytest.mark.parametrize("name", ["adapter_model.safetensors", "head.safetensors"])
def test_damaged_member_is_refused_by_file(trained: TrainConfig, tmp_path: Path, name: str) -> None:
    folder = changed_member(trained, tmp_path / "damaged")
    content = bytearray((folder / name).read_bytes())
    content[-1] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(
        ValueError, match=f"member folder {folder} is damaged: {name} is not the file"
    ):
        read_member(folder)


def test_member_without_manifest_is_refused_as_incomplete(
    trained: TrainConfig, tmp_path: Path
) -> None:
    folder = changed_member(trained, tmp_path / "half")
    (folder / "manifest.json").unlink()
    with pytest.raises(ValueError, match=f"member folder {folder} is incomplete"):
        read_member(folder)
