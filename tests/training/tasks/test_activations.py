"""Stored activations of the frozen layers: the training they give, who computes them, and what is never used."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from safetensors.torch import load_file

from lifecycle.folders import verify
from lifecycle.llama.decoder import load_decoder, load_tokenizer, pad_tokens
from tests.builders import decoder
from tests.training.tasks.activation_runs import of_base, settings_of
from training.tasks.recipes.union import TrainConfig, parse_recipe

pytestmark = pytest.mark.usefixtures("deepspeed_environment")
BASES = pytest.mark.parametrize("base", ["tiny_base_model", "gpt2_base_model"])


def losses_and_weights(recipe: dict[str, object]) -> tuple[list[float], dict[str, torch.Tensor]]:
    """Loss of every step and of validation, and the adapters and head of the member."""
    from training.loop.worker import start_run

    run = start_run(settings_of(recipe))
    losses = []
    for step in range(run.num_steps):
        run.take_step(step)
        losses.append(run.loss)
        if step == 4:
            losses.append(run.validate()["val_loss"])
    metrics = run.validate()
    run.export(None)
    member = run.config.output / "member"
    verify(member, "member")
    weights = load_file(member / "adapter_model.safetensors") | load_file(
        member / "head.safetensors"
    )
    return [*losses, *metrics.values()], weights


@pytest.mark.integration
@BASES
@pytest.mark.parametrize("checkpointing", [False, True])
def test_training_is_that_without_stored_activations(
    half_frozen: dict[str, object],
    base: str,
    checkpointing: bool,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    capsys: pytest.CaptureFixture[str],
) -> None:
    recipe = of_base(half_frozen, base, request) | {"gradient_checkpointing": checkpointing}
    losses, weights = losses_and_weights(recipe)
    assert len(losses) == 2 * 342 // 36 + 3 and np.std(losses[:-1]) > 0.01
    cached = recipe | {"activation_cache": str(tmp_path / "cache")}
    written: dict[Path, int] = {}
    for run in ("computed", "read"):
        capsys.readouterr()
        found, found_weights = losses_and_weights(cached | {"output": str(tmp_path / run)})
        np.testing.assert_allclose(found, losses, rtol=2e-5)
        assert found_weights.keys() == weights.keys()
        for name, expected in weights.items():
            torch.testing.assert_close(found_weights[name], expected, rtol=1e-3, atol=1e-5)
        log = capsys.readouterr().err
        manifests = {
            path: path.stat().st_mtime_ns for path in (tmp_path / "cache").glob("*/*/manifest.json")
        }
        layers = {"tiny_base_model": 1, "gpt2_base_model": 2}[base]
        assert (
            f"activations of 342 prompts after {layers} layers are in {tmp_path / 'cache'}" in log
        )
        if run == "computed":
            assert (
                "342/342 prompts (100 %)" in log and "20/20 prompts (100 %)" in log and "ETA" in log
            )
            written = manifests
            assert len(written) == 3  # two shares of training prompts, one of validation prompts
        else:
            assert "342/342 prompts" not in log
            assert manifests == written


@pytest.mark.integration
@BASES
def test_in_bf16_losses_stay_within_rounding(
    half_frozen: dict[str, object], base: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    recipe = of_base(half_frozen, base, request) | {
        "dtype": "bf16",
        "optimizer": {"learning_rate": 2e-3},
    }
    losses, _ = losses_and_weights(recipe)
    cached = recipe | {
        "activation_cache": str(tmp_path / "cache"),
        "output": str(tmp_path / "cached"),
    }
    found, _ = losses_and_weights(cached)
    np.testing.assert_allclose(found, losses, rtol=0.02)
    (first, *_) = (tmp_path / "cache").glob("*/*/states.safetensors")
    assert load_file(first)["states"].dtype == torch.bfloat16


@contextmanager
def group_of_one() -> Iterator[None]:
    """The process group that a run would have."""
    if not torch.distributed.is_initialized():
        store = torch.distributed.HashStore()  # type: ignore[attr-defined]
        torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    yield


def tokens_and_config(recipe: dict[str, object]) -> tuple[list[list[int]], TrainConfig]:
    """The training prompts as tokens."""
    config = parse_recipe(recipe)
    prompts = pl.read_parquet(config.examples / "train.parquet")["prompt"].to_list()
    return load_tokenizer(config.base_model)(prompts)["input_ids"], config


def computed(config: TrainConfig, tokens: list[list[int]], rows: list[int]) -> torch.Tensor:
    """What the whole base model has before its last layer, zeros for padding."""
    whole = load_decoder(decoder(Path(str(config.base_model))), torch.float32).eval()
    ids, mask = pad_tokens([tokens[row] for row in rows], 0)
    with torch.inference_mode():
        hidden: tuple[torch.Tensor, ...] = whole(
            input_ids=ids, attention_mask=mask, output_hidden_states=True
        ).hidden_states
    return hidden[-2] * mask[..., None]


@BASES
def test_stored_states_are_the_hidden_states_of_the_whole_model(
    half_frozen: dict[str, object], base: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    from training.tasks.activations import stored_states

    recipe = of_base(half_frozen, base, request) | {"activation_cache": str(tmp_path)}
    tokens, config = tokens_and_config(recipe)
    with group_of_one():
        states = stored_states(config, tmp_path, tokens, torch.float32)
    rows = [300, 5, 255, 256, 341, 0]
    torch.testing.assert_close(
        states.batch(rows), computed(config, tokens, rows), rtol=1e-4, atol=1e-5
    )


def folders_after(recipe: dict[str, object], cache: Path, **changes: object) -> set[str]:
    """Names of the caches that are there after a run with some changes has begun."""
    from training.loop.worker import start_run

    start_run(settings_of(recipe | {"activation_cache": str(cache)} | changes))
    return {path.name for path in cache.iterdir()}


def test_what_a_search_varies_shares_the_activations(
    half_frozen: dict[str, object], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    recipe = of_base(half_frozen, "gpt2_base_model", request)
    cache = tmp_path / "cache"
    first = folders_after(recipe, cache)
    assert len(first) == 2
    rates = {"learning_rate": 1e-4, "head_learning_rate": 1e-4, "weight_decay": 0.1}
    lora = {"rank": 2, "alpha": 4, "dropout": 0.1, "num_layers": 1, "targets": ["c_attn"]}
    changes = {"optimizer": rates, "lora": lora, "global_batch": 12, "epochs": 1, "max_tokens": 190}
    assert folders_after(recipe, cache, **changes) == first
    other_rows = folders_after(recipe, cache, seed=1)
    assert len(other_rows) == 3, "training prompts are shared by runs that validate on others"
    lower = folders_after(recipe, cache, lora=lora | {"num_layers": 2})
    assert len(lower) == 5
    assert folders_after(recipe, cache, num_layers=2) == lower, (
        "which layers lie on top does not change those below"
    )
    assert len(folders_after(recipe, cache, dtype="bf16")) == 7
