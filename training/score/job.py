"""Job: every customer of an ingest folder with value, churn, segment, stage and next best action, by an artifact."""

import logging
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from training.score.recipe import SCORES_KIND, ScoreConfig

if TYPE_CHECKING:  # LightGBM and scipy come with it
    from lifecycle.folders import Manifest
    from training.score.inputs import ScoreInputs
    from training.score.parts import ScoreParts

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Output:
    """A folder that is made of the parts."""

    folder: Path
    kind: str
    manifest: "Manifest"  # without the number of customers
    merge: Callable[["ScoreParts", Path], None]

    def is_there(self) -> bool:
        """Whether it was made of the same inputs already.

        ValueError where it was made of others, or is older than the tombstones.
        """
        from lifecycle.erasure.current import require_as_current
        from lifecycle.folders import is_complete

        manifest = self.manifest
        if not is_complete(self.folder, self.kind, manifest.identity, manifest.made_from):
            return False
        require_as_current(self.folder, self.kind, manifest.erasure)
        return True

    def write(self, parts: "ScoreParts", num_customers: int) -> None:
        """Make it, its manifest last."""
        from lifecycle.folders import new_folder, write_manifest

        with new_folder(self.folder) as folder:
            self.merge(parts, folder)
            told = self.manifest.model_copy(update={"num_customers": num_customers})
            write_manifest(folder, self.kind, told)
        logger.info("%s: %d customers", self.folder, num_customers)


def score(config: ScoreConfig) -> None:
    """Write scores, customer state or both, for all with an event before `as_of` and the registered never seen.

    Parts that are done are kept beside the output until all are: the same command goes on where a
    run ended.
    """
    from training.score.inputs import read_inputs
    from training.score.parts import require_customers
    from training.score.scorer import score_parts

    inputs = read_inputs(config)
    missing = [output for output in _outputs(config, inputs) if not output.is_there()]
    if missing:
        inputs.parts.folder.mkdir(parents=True, exist_ok=True)
        score_parts(inputs.parts, config.num_workers)
        num_customers = require_customers(inputs.parts)
        if not inputs.knows_prospects:
            _say_who_is_worth_nothing(inputs.parts)
        for output in missing:
            output.write(inputs.parts, num_customers)
        if config.previous is not None:
            _say_who_was_remembered(config.first_folder, inputs.parts.as_of)
    else:
        logger.info("%s is complete already", config.first_folder)
    _remove_parts(config.first_folder)


def _outputs(config: ScoreConfig, inputs: "ScoreInputs") -> list[Output]:
    """The folders that a recipe asks for."""
    from lifecycle.state.files import STATE_KIND
    from training.score.parts import merge_scores, merge_state

    outputs = []
    if config.output is not None:
        outputs.append(Output(config.output, SCORES_KIND, inputs.scores, merge_scores))
    if config.state is not None:
        outputs.append(Output(config.state, STATE_KIND, inputs.state, merge_state))
    return outputs


def _say_who_is_worth_nothing(parts: "ScoreParts") -> None:
    """Who has not bought, as nobody before whom the artifact could learn from."""
    import polars as pl

    from lifecycle.decisions.stages import NEW

    stages = pl.scan_parquet(parts.files()).select("stage").collect()["stage"]
    if num_prospects := int((stages == NEW).sum()):
        logger.warning(
            "%d of %d customers have not bought yet, as nobody whom the artifact has learned from: "
            "their value is 0 and their churn 1 for want of anything known",
            num_prospects,
            len(stages),
        )


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
