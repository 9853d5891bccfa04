"""Job: fine-tune a model with Ray Train and DeepSpeed; the same command resumes what a crash interrupted."""

import json
import logging

from lifecycle.config import Tree
from lifecycle.differences import differences
from lifecycle.folders import MANIFEST, is_complete, write_json
from lifecycle.llama.base_model.files import check_files
from lifecycle.llama.member import MEMBER_KIND
from training.recipe import PROGRESS_FILE
from training.tasks.base_model import check_base_model
from training.tasks.identity import run_origin
from training.tasks.recipes.union import TrainConfig, load_recipe
from training.tasks.rows import check_activation_cache, num_training_rows
from training.tracking.tracked import enter_finished, tracked

logger = logging.getLogger(__name__)
CLAIM_FILE = "made_from.json"


def train(config: TrainConfig) -> None:
    """Train and write `<output>/member`; a complete one of the same recipe is left as it is."""
    if not (config.output / "member" / MANIFEST).exists():
        _check_inputs(config)
    origin = run_origin(config)
    identity = origin.identity
    if is_complete(config.output / "member", MEMBER_KIND, identity, origin.made_from):
        logger.info("%s is complete already", config.output / "member")
        enter_finished(config, identity)
        return
    _claim_output(config, origin.made_from)
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


def _claim_output(config: TrainConfig, made_from: Tree) -> None:
    """Save the recipe and what it is made from; ValueError where a run of another has taken steps in this folder.

    Runs of older versions left their recipe alone, whose inputs are looked at as they are now.
    """
    config.output.mkdir(parents=True, exist_ok=True)
    path = config.output / "config.yaml"
    claim = config.output / CLAIM_FILE
    if (config.output / PROGRESS_FILE).exists():
        if claim.exists():
            before = json.loads(claim.read_text())
        else:
            before = run_origin(load_recipe(path)).made_from
        told = ", ".join(differences(before, made_from))
        if told:
            raise ValueError(
                f"{config.output} holds a run of another recipe: {told}; "
                "go on with the recipe as it was, delete the folder or choose another output"
            )
    write_json(claim, made_from)
    config.save(path)
