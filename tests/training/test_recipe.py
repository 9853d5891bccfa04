"""The training recipe: what it refuses, and what it derives."""

from pathlib import Path

import pytest

from tests.builders import TinyShop, value_recipe
from training.tasks.identity import run_identity
from training.tasks.recipes.union import TrainConfig, load_recipe, parse_recipe
from training.tasks.rows import num_training_rows


@pytest.mark.parametrize(
    ("global_batch", "micro_batch", "num_workers", "accumulation"),
    [(32, 8, 2, 2), (32, 16, 2, 1), (32, 8, 0, 4), (32, 8, 1, 4), (6, 1, 3, 2)],
)
def test_accumulation_fills_the_global_batch(
    global_batch: int, micro_batch: int, num_workers: int, accumulation: int
) -> None:
    found = value_recipe(
        global_batch=global_batch, micro_batch=micro_batch, num_workers=num_workers
    )
    assert found.accumulation(max(num_workers, 1)) == accumulation
    assert accumulation * micro_batch * max(num_workers, 1) == global_batch


@pytest.mark.parametrize(
    ("global_batch", "micro_batch", "num_workers", "per_pass"),
    [(30, 8, 2, 16), (8, 8, 2, 16), (10, 4, 0, 4)],
)
def test_global_batch_that_does_not_divide_is_refused(
    global_batch: int, micro_batch: int, num_workers: int, per_pass: int
) -> None:
    message = f"global_batch is {global_batch}; it must be a multiple of micro_batch x num_workers = .* = {per_pass}"
    with pytest.raises(ValueError, match=message):
        value_recipe(global_batch=global_batch, micro_batch=micro_batch, num_workers=num_workers)


@pytest.mark.parametrize(
    ("zero", "message"),
    [
        (
            {"stage": 2, "offload_parameters": True},
            "zero.offload_parameters needs zero.stage 3, not 2",
        ),
        (
            {"stage": 0, "offload_optimizer": True},
            "zero.offload_optimizer needs zero.stage 1, 2 or 3",
        ),
        ({"stage": 4}, "stage"),
    ],
)
def test_offload_without_its_stage_is_refused(zero: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        value_recipe(zero=zero)


@pytest.mark.parametrize(
    "zero",
    [
        {"stage": 1, "offload_optimizer": True},
        {"stage": 3, "offload_parameters": True},
        {"stage": 3, "offload_optimizer": True, "offload_parameters": True},
    ],
)
def test_offload_with_its_stage_is_accepted(zero: dict[str, object]) -> None:
    assert value_recipe(zero=zero).zero.model_dump(exclude_unset=True) == zero


@pytest.mark.parametrize(("device", "dtype"), [("cpu", "bf16"), ("cpu", "auto"), ("gpu", "fp32")])
def test_flash_attention_where_it_cannot_run_is_refused(device: str, dtype: str) -> None:
    with pytest.raises(
        ValueError, match=f"attention is flash_attention_2 with device {device} and dtype {dtype}"
    ):
        value_recipe(attention="flash_attention_2", device=device, dtype=dtype)
    assert (
        value_recipe(attention="flash_attention_2", device="gpu").decoder.attention
        == "flash_attention_2"
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"lora": None},
            "activation_cache needs lora.num_layers: without it no layer stays as it is",
        ),
        ({"lora": {"rank": 4}}, "activation_cache needs lora.num_layers"),
        (
            {"lora": {"num_layers": 12}, "num_layers": 12},
            "lora.num_layers is 12; .* needs fewer than all 12 layers",
        ),
        (
            {"encoder": "sequence"},
            "task value with encoder sequence does not use activation_cache; leave that out",
        ),
    ],
)
def test_activation_cache_without_frozen_layers_is_refused(
    changes: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        value_recipe(**({"activation_cache": "c", "lora": {"num_layers": 2}} | changes))
    assert (
        value_recipe(activation_cache="c", lora={"num_layers": 5}, num_layers=12).frozen_layers(12)
        == 7
    )


@pytest.mark.parametrize(
    ("epochs", "max_steps", "num_rows", "num_steps"),
    [
        (1.0, None, 100, 3),
        (1.0, None, 96, 3),
        (2.0, None, 100, 6),
        (0.5, None, 100, 1),
        (10.0, 7, 100, 7),
        (1.0, 7, 100, 3),
    ],
)
def test_steps_leave_out_the_last_incomplete_batch(
    epochs: float, max_steps: int | None, num_rows: int, num_steps: int
) -> None:
    assert (
        value_recipe(global_batch=32, epochs=epochs, max_steps=max_steps).num_steps(num_rows)
        == num_steps
    )


def test_fewer_rows_than_one_batch_are_refused() -> None:
    with pytest.raises(ValueError, match="global_batch is 32, but the run has only 31 rows"):
        value_recipe(global_batch=32).num_steps(31)


def taught(**changes: object) -> TrainConfig:
    """A recipe of task sft whose files need not exist."""
    fields = {
        "task": "sft",
        "adapter": "service",
        "conversations": "c.jsonl",
        "base_model": "b",
        "output": "o",
    }
    return parse_recipe(fields | changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data": None}, "task value with encoder text needs data"),
        ({"data": None, "examples": None}, "task value with encoder text needs data, examples"),
        ({"conversations": "c.jsonl"}, "task value with encoder text does not use conversations"),
        ({"adapter": "service"}, "task value with encoder text does not use adapter; leave"),
        (
            {"task": "classify"},
            "task is 'classify': Input should be 'value', 'next_item', 'sft' or 'rerank'",
        ),
        ({"task": "rerank", "num_layers": 12}, "task rerank does not use num_layers; leave"),
        ({"task": "rerank", "encoder": "sequence"}, "encoder must be text, not sequence"),
        ({"encoder": "images"}, "encoder is 'images': Input should be 'text' or 'sequence'"),
        ({"start_from": "m"}, "task value with encoder text does not use start_from; leave"),
    ],
)
def test_keys_that_do_not_fit_the_value_task_are_refused(
    changes: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        value_recipe(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"conversations": None, "adapter": None}, "task sft needs conversations, adapter"),
        ({"base_model": None}, "task sft needs base_model"),
        ({"adapter": "Service Desk"}, "adapter"),
        (
            {"encoder": "sequence"},
            "task sft teaches a language model: encoder must be text, not sequence",
        ),
        ({"data": "d", "examples": "e"}, "task sft does not use data, examples; leave that out"),
        ({"num_layers": 12}, "task sft does not use num_layers"),
        ({"sequence": {"hidden_size": 64}}, "task sft does not use sequence"),
        (
            {"next_event_weight": 0.2, "next_item_positions": 9},
            "does not use next_event_weight, next_item_positions",
        ),
        (
            {"optimizer": {"head_learning_rate": 1e-5}},
            "task sft does not use optimizer.head_learning_rate",
        ),
    ],
)
def test_keys_that_do_not_fit_the_sft_task_are_refused(
    changes: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        taught(**changes)


def test_recipe_of_the_sft_task_saves_to_an_equal_one(tmp_path: Path) -> None:
    taught().save(tmp_path / "saved.yaml")
    assert load_recipe(tmp_path / "saved.yaml") == taught()


def test_training_rows_are_counted_without_reading_them(tiny_shop: TinyShop) -> None:
    import polars as pl

    text = value_recipe(data=tiny_shop.data, examples=tiny_shop.examples)
    train = pl.read_parquet(tiny_shop.examples / "train.parquet")
    assert num_training_rows(text) == train.height
    sequence = parse_recipe(text.model_dump() | {"encoder": "sequence"})
    assert num_training_rows(sequence) == train["customer_id"].n_unique()


def test_identity_follows_what_decides_the_weights(
    tiny_shop: TinyShop, tiny_base_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = value_recipe(
        data=str(tiny_shop.data), examples=str(tiny_shop.examples), base_model=str(tiny_base_model)
    )
    monkeypatch.chdir(tiny_base_model.parent)
    same = {
        "base_model": tiny_base_model.name,
        "output": "elsewhere",
        "max_failures": 9,
        "start_timeout_seconds": 11,
        "tracking": None,
        "activation_cache": Path("cache"),
    }
    assert run_identity(here.model_copy(update=same)) == run_identity(here)
    for change in ({"seed": 1}, {"max_tokens": 99}, {"lora": None}):
        assert run_identity(here.model_copy(update=change)) != run_identity(here)
