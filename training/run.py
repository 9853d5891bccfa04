"""Job: fine-tune a model with Ray Train and DeepSpeed; the same command resumes what a crash interrupted."""

import logging

from lifecycle.folders import is_complete
from lifecycle.jobs import run_job
from lifecycle.member import MEMBER_KIND
from training.recipe import PROGRESS_FILE, TrainConfig, num_frozen_layers, num_training_rows
from training.run_identity import run_identity
from training.tracking import enter_finished, tracked

logger = logging.getLogger(__name__)


def train(config: TrainConfig) -> None:
    """Train and write `<output>/member`; a complete one of the same recipe is left as it is."""
    identity = run_identity(config)
    if is_complete(config.output / "member", MEMBER_KIND, identity):
        logger.info("%s is complete already", config.output / "member")
        enter_finished(config, identity)
        return
    config.num_steps(num_training_rows(config))
    if config.activation_cache is not None:
        num_frozen_layers(config)
    _claim_output(config, identity)
    from training.trainer import fit

    with tracked(config, identity):
        fit(config)


def _claim_output(config: TrainConfig, identity: str) -> None:
    """Save the recipe; ValueError where another one has taken steps in this folder."""
    config.output.mkdir(parents=True, exist_ok=True)
    path = config.output / "config.yaml"
    if (config.output / PROGRESS_FILE).exists() and run_identity(TrainConfig.load(path)) != identity:
        raise ValueError(f"{config.output} holds a run of another recipe; delete it or choose another output")
    config.save(path)


def main() -> None:
    """Entry point of `python -m training.run`."""
    run_job(TrainConfig, "training.run", train)


if __name__ == "__main__":
    main()
