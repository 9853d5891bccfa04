"""Job: every customer of an ingest folder with value, churn, segment, stage and next best action, by an artifact."""

import logging
import re
import shutil
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from training.score.recipe import SCORES_FILE, SCORES_KIND, ScoreConfig, ScoresManifest

if TYPE_CHECKING:  # LightGBM and scipy come with it
    from training.score.inputs import ScoreInputs

logger = logging.getLogger(__name__)


def score(config: ScoreConfig) -> None:
    """Write `<output>/scores.parquet`, for all with an event before `as_of` and the registered never seen.

    Parts that are done are kept beside the output until all are: the same command goes on where a
    run ended.
    """
    from lifecycle.erasure.current import require_as_current
    from lifecycle.folders import is_complete
    from training.score.inputs import read_inputs
    from training.score.scorer import score_parts

    inputs = read_inputs(config)
    if is_complete(config.output, SCORES_KIND, inputs.identity, inputs.made_from):
        require_as_current(config.output, SCORES_KIND, inputs.erasure)
        _remove_parts(config.output)
        logger.info("%s is complete already", config.output)
        return
    inputs.parts.folder.mkdir(parents=True, exist_ok=True)
    score_parts(inputs.parts, config.num_workers)
    num_customers = _write(inputs, config.output)
    _remove_parts(config.output)
    if config.previous is not None:
        _say_who_was_remembered(config.output, inputs.parts.as_of)
    logger.info("%s: %d customers", config.output / SCORES_FILE, num_customers)


def _write(inputs: "ScoreInputs", output: Path) -> int:
    """Write the scores out of their parts; returns the number of customers."""
    from lifecycle.folders import new_folder, write_manifest
    from training.score.parts import merge_parts

    with new_folder(output) as folder:
        num_customers = merge_parts(inputs.parts, folder)
        manifest = ScoresManifest(
            identity=inputs.identity,
            made_from=inputs.made_from,
            as_of=inputs.parts.as_of,
            model=inputs.model,
            artifact_files=inputs.artifact_files,
            num_customers=num_customers,
            erasure=inputs.erasure,
        )
        write_manifest(folder, SCORES_KIND, manifest)
    return num_customers


def _say_who_was_remembered(output: Path, as_of: datetime) -> None:
    """A warning where nobody was: `previous` then saves nothing."""
    import polars as pl

    from training.score.member_cache import MEMBERS_FILE

    if not (output / MEMBERS_FILE).exists():
        logger.warning("previous saves nothing: the champion holds no encoder")
        return
    computed_at = pl.read_parquet(output / MEMBERS_FILE, columns=["computed_at"])["computed_at"]
    num_remembered = int((computed_at < as_of).sum())
    level = logging.INFO if num_remembered else logging.WARNING
    logger.log(level, "of %d customers encoders remembered %d", len(computed_at), num_remembered)


def _remove_parts(output: Path) -> None:
    """Remove the parts of a complete output, and those that runs by other versions left behind."""
    for folder in output.absolute().parent.iterdir():
        if re.fullmatch(rf"{re.escape(output.name)}\.parts-[0-9a-f]{{12}}", folder.name):
            shutil.rmtree(folder, ignore_errors=True)
