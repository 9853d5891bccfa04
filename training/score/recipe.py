"""The recipe of scoring."""

from datetime import date
from pathlib import Path
from typing import Literal

from pydantic import AwareDatetime, Field

from lifecycle.config import Config
from lifecycle.events.shards import Instant
from lifecycle.folders import Manifest

SCORES_KIND = "scores"


class ScoresManifest(Manifest):
    """The manifest of a folder of scores."""

    as_of: Instant
    model: str  # the artifact's champion
    artifact_files: str  # fingerprint of the artifact's files
    num_customers: int


class ScoreConfig(Config):
    """Recipe of `python -m training.score`."""

    data: Path
    artifact: Path
    as_of: AwareDatetime | date | None = (
        None  # an instant with its zone, or a UTC midnight; None: after the last event
    )
    previous: Path | None = (
        None  # scores by the same artifact: encoders read only customers with new events since
    )
    max_age_days: int = Field(7, ge=0)  # of what they expected of all others
    # Also what moved each prediction most; true is features. Events take up to MAX_LEFT_OUT predictions a customer.
    explain: Literal["features", "events"] | bool = False
    num_workers: int = Field(
        2, ge=1
    )  # of Ray; 1, or a small shop without an encoder: in this process
    output: Path
