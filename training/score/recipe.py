"""The recipe of scoring."""

from datetime import date
from pathlib import Path
from typing import Literal, Self

from pydantic import AwareDatetime, Field, model_validator

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
    output: Path | None = None
    # A folder with the encoded answer for each customer, which the service maps into memory.
    state: Path | None = None

    @model_validator(mode="after")
    def _something_is_written(self) -> Self:
        if self.output is None and self.state is None:
            raise ValueError("neither output nor state is given; nothing would be written")
        return self

    @model_validator(mode="after")
    def _state_is_the_default_answer(self) -> Self:
        """What the service would compute, exactly, when it is asked for no more than a customer."""
        others = {
            "previous": self.previous is not None,
            "as_of": self.as_of is not None,
            "explain: events": self.explain == "events",
        }
        given = [name for name, is_given in others.items() if is_given]
        if self.state is not None and given:
            raise ValueError(f"state holds default answers, computed anew; leave out {given[0]}")
        return self

    @property
    def first_folder(self) -> Path:
        """One that is written; parts are kept beside it until all are done."""
        folder = self.output or self.state
        assert folder is not None
        return folder
