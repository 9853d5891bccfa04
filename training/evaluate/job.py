"""Job: the arena. Fits the cheap models, puts the members beside them, chooses one, writes the artifact."""

import logging

from training.evaluate.recipe import EvaluateConfig

logger = logging.getLogger(__name__)


def evaluate(config: EvaluateConfig) -> None:
    """Write metrics.json, predictions.parquet, rankings.parquet, report.html and artifact/.

    Everything that the recipe names is checked first; a complete artifact of the same inputs is
    left as it is.
    """
    from lifecycle.artifact.contents import ARTIFACT_KIND
    from lifecycle.folders import is_complete
    from training.evaluate.arena import run_arena
    from training.evaluate.inputs import read_inputs

    inputs = read_inputs(config)
    artifact = config.output / "artifact"
    if is_complete(artifact, ARTIFACT_KIND, inputs.identity, inputs.made_from):
        logger.info("%s is complete already", config.output / "artifact")
        return
    config.output.mkdir(parents=True, exist_ok=True)
    config.save(config.output / "evaluate.yaml")
    run_arena(inputs)
