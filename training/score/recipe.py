"""The recipe of scoring."""

from datetime import date
from pathlib import Path
from typing import Literal

from pydantic import AwareDatetime, Field

from lifecycle.config import Config
from lifecycle.events.shards import Instant
from lifecycle.folders import Manifest

SCORES_KIND = "scores"
SCORES_FILE = "scores.parquet"


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
    # An instant with its zone, or a UTC midnight; None: after the last event.
    as_of: AwareDatetime | date | None = None
    # Scores by the same artifact: encoders read only customers with new events since.
    previous: Path | None = None
    max_age_days: int = Field(7, ge=0)  # of what encoders expected of all others
    # Also what moved each prediction most; true is features. Events take up to MAX_LEFT_OUT predictions a customer.
    explain: Literal["features", "events"] | bool = False
    # Of Ray; 1, or a small shop without an encoder: in this process.
    num_workers: int = Field(2, ge=1)
    output: Path
