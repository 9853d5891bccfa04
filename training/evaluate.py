"""Job: the arena. Fits the cheap models, puts the members beside them, chooses one, writes the artifact."""

import logging

from lifecycle.jobs import run_job
from training.arena_recipe import EvaluateConfig

__all__ = ["EvaluateConfig", "evaluate"]
logger = logging.getLogger(__name__)


def evaluate(config: EvaluateConfig) -> None:
    """Write metrics.json, predictions.parquet, rankings.parquet, report.html and artifact/.

    Everything that the recipe names is checked first; a complete artifact of the same inputs is left as it is.
    """
    from lifecycle.artifact import ARTIFACT_KIND
    from lifecycle.folders import is_complete
    from training.arena import run_arena
    from training.arena_inputs import read_inputs

    inputs = read_inputs(config)
    if is_complete(config.output / "artifact", ARTIFACT_KIND, inputs.identity):
        logger.info("%s is complete already", config.output / "artifact")
        return
    config.output.mkdir(parents=True, exist_ok=True)
    config.save(config.output / "evaluate.yaml")
    run_arena(inputs)


def main() -> None:
    """Entry point of `python -m training.evaluate`."""
    run_job(EvaluateConfig, "training.evaluate", evaluate)


if __name__ == "__main__":
    main()
