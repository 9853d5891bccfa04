"""What serves: the artifact as it was judged, or its models fitted again, and the customers it is introduced with."""

import logging
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from lifecycle.artifact.answers import values_for
from lifecycle.artifact.contents import Artifact
from lifecycle.decisions.segments import fit_thresholds
from lifecycle.names import MEMBERS
from lifecycle.value.said import heeded_spend
from training.evaluate.artifact import with_own_rates
from training.evaluate.inputs import Inputs
from training.evaluate.value.refit import refitted
from training.evaluate.value.windows import ExampleSets, read_rows
from training.prepare.dataset import LATEST

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Served:
    """An artifact, and what its champion expects of the customers known when its models were fitted."""

    artifact: Artifact
    refitted_at: str | None  # the day until which its models know outcomes; None: as judged
    known: pl.DataFrame  # examples: the test customers or, of models fitted again, all until then
    spend: np.ndarray  # (n,), over the horizon


def served(inputs: Inputs, judged: Artifact, sets: ExampleSets, predicted: np.ndarray) -> Served:
    """The models fitted again where the recipe says so, with thresholds that keep the shares of the segments.

    `predicted` is what the champion as judged expects of the test customers.
    """
    as_judged = Served(judged, None, with_own_rates(sets.test, inputs.config.data), predicted)
    if not inputs.config.refit:
        return as_judged
    champion = judged.settings.champion
    if champion in MEMBERS:
        why = f"{champion} serves, and LLaMA encoders are not trained again"
        logger.warning("refit is left out: %s", why)
        return as_judged
    latest = read_rows(inputs.config.examples, LATEST, inputs.encoded_customers)
    until = str(latest["cutoff"][0].date())
    logger.info("fitted again, to outcomes until %s", until)
    models = refitted(judged.models, sets, latest, inputs.config.seed, inputs.config.data)
    logger.info("from %s on %s", until, models.season.told())
    manifest = judged.manifest.model_copy(update={"season": models.season})
    again = replace(judged, models=models, manifest=manifest)
    if again.members:
        logger.warning(
            "segments keep the thresholds of %s: encoders in the stack have not read the customers of %s",
            judged.manifest.segments_as_of,
            until,
        )
        return Served(again, until, as_judged.known, predicted)
    return _with_new_thresholds(again, until, with_own_rates(latest, inputs.config.data))


def _with_new_thresholds(again: Artifact, until: str, known: pl.DataFrame) -> Served:
    """Values of models fitted again are of another size: by old thresholds 5 % at the top would not stay 5 %."""
    settings = again.settings
    alone = again.models.expected_spend(settings.champion, known)
    spend = heeded_spend(settings.standings, known, alone, settings.horizon_days)
    thresholds = fit_thresholds(values_for(again, known, alone).clv)
    told = {"segment_thresholds": thresholds, "segments_as_of": until}
    artifact = replace(
        again,
        settings=replace(settings, thresholds=thresholds),
        manifest=again.manifest.model_copy(update=told),
    )
    return Served(artifact, until, known, spend)
