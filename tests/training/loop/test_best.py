"""The best weights of a run: kept until the member has them."""

import math

import pytest
import torch
from safetensors.torch import load_file

from lifecycle.llama.member import read_member
from training.tasks.recipes.union import TrainConfig

pytestmark = pytest.mark.usefixtures("deepspeed_environment")


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
