"""Stored activations of the frozen layers: the training they give, who computes them, and what is never used."""

import resource
import shutil
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
from tests.builders import TinyShop, decoder, kept_process_state
from training.loop.deepspeed_op import prepare_deepspeed
from training.tasks.recipes.union import TrainConfig, parse_recipe

BASES = pytest.mark.parametrize("base", ["tiny_base_model", "gpt2_base_model"])
TARGETS = {"tiny_base_model": ["q_proj", "up_proj"], "gpt2_base_model": ["c_attn", "c_proj"]}


@pytest.fixture(scope="module", autouse=True)
def deepspeed_environment() -> Iterator[None]:
    """What a worker's shim does before it imports the loop."""
    with kept_process_state():
        prepare_deepspeed("cpu")
        yield


@pytest.fixture
def recipe(tiny_shop: TinyShop, tmp_path: Path) -> dict[str, object]:
    """Two epochs whose last layer alone is adapted; the base model is to be given."""
    return {
        "data": str(tiny_shop.data), "examples": str(tiny_shop.examples), "max_tokens": 200, "dtype": "fp32",
        "global_batch": 36, "micro_batch": 12, "epochs": 2, "validation_rows": 20, "num_workers": 0,
        "lora": {"rank": 4, "alpha": 8, "num_layers": 1}, "optimizer": {"learning_rate": 1e-2},
        "output": str(tmp_path / "run"),
    }  # fmt: skip


def of_base(
    recipe: dict[str, object], base: str, request: pytest.FixtureRequest
) -> dict[str, object]:
    """The recipe for one of the two base models."""
    lora = recipe["lora"]
    assert isinstance(lora, dict)
    return recipe | {
        "base_model": str(request.getfixturevalue(base)),
        "lora": lora | {"targets": TARGETS[base]},
    }


def settings_of(recipe: dict[str, object]) -> dict[str, object]:
    """What a worker gets; the folder that its driver makes is there."""
    config = parse_recipe(recipe)
    config.output.mkdir(parents=True, exist_ok=True)
    return config.model_dump(mode="json")


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


@BASES
@pytest.mark.parametrize("checkpointing", [False, True])
def test_training_is_that_without_stored_activations(
    recipe: dict[str, object],
    base: str,
    checkpointing: bool,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    capsys: pytest.CaptureFixture[str],
) -> None:
    recipe = of_base(recipe, base, request) | {"gradient_checkpointing": checkpointing}
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


@BASES
def test_in_bf16_losses_stay_within_rounding(
    recipe: dict[str, object], base: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    recipe = of_base(recipe, base, request) | {
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
    recipe: dict[str, object], base: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    from training.tasks.activations import stored_states

    recipe = of_base(recipe, base, request) | {"activation_cache": str(tmp_path)}
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
    recipe: dict[str, object], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    recipe, cache = of_base(recipe, "gpt2_base_model", request), tmp_path / "cache"
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


def complete_shares(cache: Path) -> set[Path]:
    """The folders that would be read."""
    return {path.parent for path in cache.glob("*/*/manifest.json")}


def test_damaged_share_is_refused_by_name(
    recipe: dict[str, object], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    from training.loop.worker import start_run

    cache = tmp_path / "cache"
    settings = settings_of(
        of_base(recipe, "tiny_base_model", request) | {"activation_cache": str(cache)}
    )
    start_run(settings)
    share = next(path.parent for path in cache.glob("*/00001/manifest.json"))
    content = bytearray((share / "states.safetensors").read_bytes())
    content[-1] ^= 1
    (share / "states.safetensors").write_bytes(content)
    with pytest.raises(
        ValueError,
        match=f"activation_cache: .*{share} is damaged: states.*; delete {share} and it wi",
    ):
        start_run(settings)
    (share / "manifest.json").unlink()
    with pytest.raises(ValueError, match=f"{share} is not empty and has no manifest.json"):
        start_run(settings)
    shutil.rmtree(share)
    start_run(settings)
    assert (share / "manifest.json").exists()


def test_full_disk_leaves_no_half_written_share(
    recipe: dict[str, object], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """A limit on the size of files stands in for the disk's."""
    from training.loop.worker import start_run

    cache = tmp_path / "cache"
    settings = settings_of(
        of_base(recipe, "tiny_base_model", request) | {"activation_cache": str(cache)}
    )
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, hard))
    try:
        with pytest.raises(
            ValueError,
            match=f"activation_cache {cache}/.*/00000 cannot be written: .*File too large",
        ):
            start_run(settings)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not complete_shares(cache) and not list(cache.glob("*/*.incomplete"))
    start_run(settings)
    assert len(complete_shares(cache)) == 3


def test_disk_that_is_too_small_is_named_before_anything_is_computed(
    recipe: dict[str, object],
    tmp_path: Path,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from training.loop.worker import start_run

    settings = settings_of(
        of_base(recipe, "tiny_base_model", request) | {"activation_cache": str(tmp_path / "cache")}
    )
    monkeypatch.setattr(
        shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 10**9 - 10**6, 10**6)
    )  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match=r"needs 0.00\d+ GB; its disk has 0.001 GB"):
        start_run(settings)
    assert not complete_shares(tmp_path / "cache")
