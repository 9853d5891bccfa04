"""When steps can be measured, how many validations there are, and what a plan of prepared examples knows."""

import os
from pathlib import Path

import polars as pl
import pytest

from lifecycle.features.vocabulary import Vocabulary
from tests.builders import TinyShop
from training.plan.job import make_plan
from training.plan.meta_model import measure_model
from training.plan.steps import _measured_part, _measured_workers, num_validations, why_not_measured
from training.plan.table import table
from training.prepare.sequences import FOLDER
from training.tasks.recipes.union import TrainConfig, parse_recipe


@pytest.fixture
def config(tiny_shop: TinyShop, tiny_base_model: Path, tmp_path: Path) -> TrainConfig:
    return parse_recipe(
        {
            "data": tiny_shop.data,
            "examples": tiny_shop.examples,
            "base_model": str(tiny_base_model),
            "max_tokens": 80,
            "global_batch": 16,
            "micro_batch": 4,
            "epochs": 2,
            "checkpoint_every_steps": 25,
            "num_workers": 1,
            "output": tmp_path / "run",
        }
    )


def test_steps_are_measured_only_where_they_can_be_taken(
    config: TrainConfig, tmp_path: Path
) -> None:
    assert why_not_measured(config, 0.1) is None
    reasons = {
        "device is gpu": config.model_copy(update={"device": "gpu"}),
        "there are no examples": config.model_copy(update={"examples": tmp_path}),
        "holds no weights": config.model_copy(update={"base_model": str(tmp_path)}),
    }
    for reason, changed in reasons.items():
        assert reason in str(why_not_measured(changed, 0.1))
    assert "the workers need 100000.9 GiB, and this machine has" in str(
        why_not_measured(config, 100_000.0)
    )


def test_validations_are_those_of_the_loop(config: TrainConfig) -> None:
    for steps in (1, 24, 25, 26, 50, 99):
        checkpoints = sum(step % 25 == 0 or step == steps for step in range(1, steps + 1))
        assert num_validations(config, steps) == checkpoints
        last = config.model_copy(update={"export": "last"})
        assert num_validations(last, steps) == checkpoints + 1  # and once more for the member


def test_measured_steps_have_the_passes_of_the_recipe(config: TrainConfig) -> None:
    cores = os.cpu_count() or 1
    spread = config.model_copy(update={"num_workers": cores, "global_batch": 4 * cores * 3})
    assert _measured_workers(spread) == cores
    assert _measured_workers(spread.model_copy(update={"num_workers": cores + 1})) == 1
    assert _measured_workers(spread.model_copy(update={"cpus_per_worker": cores + 1.0})) == 1
    assert _measured_part(spread, cores)["global_batch"] == 4 * cores * 3
    assert _measured_part(config.model_copy(update={"global_batch": 64}), 1)["global_batch"] == 16


def test_steps_are_known_from_the_examples_though_no_step_is_measured(config: TrainConfig) -> None:
    plan = make_plan(config.model_copy(update={"device": "gpu"}))
    num_rows = pl.read_parquet(config.examples / "train.parquet").height
    assert (plan.length.training_rows, plan.length.steps) == (num_rows, 2 * num_rows // 16)
    assert plan.length.times is None and plan.length.expected_seconds is None
    assert "duration: unknown, device is gpu" in table(plan)


def test_run_of_fewer_rows_than_a_batch_is_refused(config: TrainConfig) -> None:
    with pytest.raises(ValueError, match="global_batch is 4096, but the run has only"):
        make_plan(config.model_copy(update={"device": "gpu", "global_batch": 4096}))


def test_sequence_encoder_is_counted_by_hand(config: TrainConfig, tmp_path: Path) -> None:
    shape = {"hidden_size": 32, "num_layers": 2, "num_heads": 4, "max_events": 24}
    fields = config.model_dump() | {"encoder": "sequence", "sequence": shape, "dtype": "fp32"}
    sequence = parse_recipe(fields)
    sizes = measure_model(sequence)
    known = Vocabulary.load(config.examples / FOLDER)
    layer = 4 * 32 * 32 + 3 * 32 * (8 * 32 // 3) + 2 * 32
    embeddings = (
        known.num_items + known.num_categories + 12
    ) * 32  # eleven kinds of events and the query
    features, next_event = (18 + 1) * 32, (32 + 1) * 32 + (32 + 1) * 4
    titles = 40 * 32  # the tiny shop has 40 different ones
    assert sizes.decoder_parameters == 2 * layer + 32 + embeddings + features + next_event + titles
    without = sequence.model_copy(update={"base_model": None})
    assert measure_model(without).decoder_parameters == sizes.decoder_parameters - titles
    assert sizes.head_parameters == 3 * 32 + 3
    assert sizes.trainable_parameters == sizes.total_parameters
    longer = sequence.model_copy(update={"micro_batch": 8})
    assert measure_model(longer).activation_bytes > 1.8 * sizes.activation_bytes
    with pytest.raises(ValueError, match=r"embedding per item .* run training.prepare first"):
        measure_model(sequence.model_copy(update={"examples": tmp_path}))
