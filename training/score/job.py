"""Job: every customer of an ingest folder with value, churn, segment, stage and next best action, by an artifact."""

import logging
import re
import shutil
from datetime import datetime
from pathlib import Path

from training.score.recipe import SCORES_KIND, ScoreConfig, ScoresManifest

logger = logging.getLogger(__name__)


def score(config: ScoreConfig) -> None:
    """Write `<output>/scores.parquet`, for all with an event before `as_of` and the registered never seen.

    Parts that are done are kept beside the output until all are: the same command goes on where a
    run ended.
    """
    from lifecycle.artifact.contents import check_currency
    from lifecycle.artifact.files import load_artifact
    from lifecycle.events.shards import read_data_manifest
    from lifecycle.folders import (
        fingerprint,
        is_complete,
        new_folder,
        package_versions,
        write_manifest,
    )
    from training.score.scorer import MIN_PARTS, Batch, as_of_instant, merge_parts, score_parts

    data = read_data_manifest(config.data)
    artifact = load_artifact(config.artifact)
    check_currency(artifact, data)
    as_of = as_of_instant(config.as_of, data)
    weights = fingerprint(artifact.manifest.files)  # the same recipe may have been trained again
    remembered = _previous(config, weights)
    cached = [] if remembered is None else [remembered.identity, config.max_age_days]
    identity = fingerprint(
        [
            data.identity,
            artifact.manifest.identity,
            as_of.isoformat(),
            config.explain,
            *cached,
        ]
    )
    explain = "features" if config.explain is True else config.explain or None
    split = fingerprint(
        [identity, MIN_PARTS, package_versions()]
    )  # another version may score or split otherwise
    parts = config.output.with_name(f"{config.output.name}.parts-{split[:12]}").absolute()
    if is_complete(config.output, SCORES_KIND, identity):
        _remove_parts(config.output)
        logger.info("%s is complete already", config.output)
        return
    parts.mkdir(parents=True, exist_ok=True)
    previous = None if config.previous is None else config.previous.absolute()
    batch = Batch(
        config.artifact.absolute(),
        config.data.absolute(),
        as_of,
        parts,
        explain,
        previous,
        config.max_age_days,
    )
    score_parts(batch, config.num_workers)
    with new_folder(config.output) as folder:
        num_customers = merge_parts(batch, folder)
        manifest = ScoresManifest(
            identity=identity,
            as_of=as_of,
            model=artifact.settings.champion,
            artifact_files=weights,
            num_customers=num_customers,
        )
        write_manifest(folder, SCORES_KIND, manifest)
    _remove_parts(config.output)
    if remembered is not None:
        _say_who_was_remembered(config.output, as_of)
    logger.info("%s: %d customers", config.output / "scores.parquet", num_customers)


def _previous(config: ScoreConfig, weights: str) -> ScoresManifest | None:
    """The manifest of the scores before; ValueError where another artifact made them."""
    from lifecycle.folders import read_manifest

    if config.previous is None:
        return None
    manifest = read_manifest(config.previous, SCORES_KIND, ScoresManifest)
    if manifest.artifact_files != weights:
        raise ValueError(
            f"previous: the scores {config.previous} were not made by what {config.artifact} holds now"
        )
    return manifest


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
