"""Job: fine-tune a model with Ray Train and DeepSpeed; the same command resumes what a crash interrupted."""

import logging

from lifecycle.folders import MANIFEST, is_complete
from lifecycle.llama.base_model.files import check_files
from lifecycle.llama.member import MEMBER_KIND
from training.recipe import PROGRESS_FILE
from training.tasks.base_model import check_base_model
from training.tasks.identity import run_identity
from training.tasks.recipes.union import TrainConfig, load_recipe
from training.tasks.rows import check_activation_cache, num_training_rows
from training.tracking.tracked import enter_finished, tracked

logger = logging.getLogger(__name__)


def train(config: TrainConfig) -> None:
    """Train and write `<output>/member`; a complete one of the same recipe is left as it is."""
    if not (config.output / "member" / MANIFEST).exists():
        _check_inputs(config)
    identity = run_identity(config)
    if is_complete(config.output / "member", MEMBER_KIND, identity):
        logger.info("%s is complete already", config.output / "member")
        enter_finished(config, identity)
        return
    _claim_output(config, identity)
    from training.run.trainer import fit

    with tracked(config, identity):
        fit(config)


def _check_inputs(config: TrainConfig) -> None:
    """ValueError for what can be seen before a worker starts; what takes longest comes last.

    The identity comes later still: for that the weights of the base model are read whole.
    """
    if config.base_model is not None:
        check_files(config.base_model)
    config.num_steps(num_training_rows(config))
    check_activation_cache(config)
    check_base_model(config)


def _claim_output(config: TrainConfig, identity: str) -> None:
    """Save the recipe; ValueError where another one has taken steps in this folder."""
    config.output.mkdir(parents=True, exist_ok=True)
    path = config.output / "config.yaml"
    if (config.output / PROGRESS_FILE).exists() and run_identity(load_recipe(path)) != identity:
        raise ValueError(
            f"{config.output} holds a run of another recipe; delete it or choose another output"
        )
    config.save(path)
