"""The champion in memory, with the LLaMA encoders that it is or holds."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from lifecycle.artifact.contents import Artifact
from lifecycle.spend.contributions import Contributions
from lifecycle.value.said import heeded_spend

if TYPE_CHECKING:
    from lifecycle.llama.predict import MemberPredictor


@dataclass(frozen=True)
class Champion:
    """Says what customers are expected to spend over the horizon, as arrays (n,); see `value.said`."""

    artifact: Artifact
    members: Mapping[str, "MemberPredictor"]

    def spend(self, examples: pl.DataFrame, events: pl.DataFrame) -> np.ndarray:
        """By buyers' examples and the events of these customers, which the encoders read."""
        return self.spend_given(examples, self._by_members(examples, events))

    def explained_spend(
        self, examples: pl.DataFrame, events: pl.DataFrame
    ) -> tuple[np.ndarray, Contributions | None]:
        """`spend`, and what the features add to its logarithm; None where it is explained by events."""
        return self.explained_spend_given(examples, self._by_members(examples, events))

    def explained_spend_given(
        self, examples: pl.DataFrame, by_members: Mapping[str, np.ndarray]
    ) -> tuple[np.ndarray, Contributions | None]:
        """The same, where it is known already what the encoders expect."""
        settings = self.artifact.settings
        total, found = self.artifact.models.explained_spend(settings.champion, examples, by_members)
        return heeded_spend(settings.standings, examples, total, settings.horizon_days), found

    def _by_members(self, examples: pl.DataFrame, events: pl.DataFrame) -> dict[str, np.ndarray]:
        return {name: member(examples, events) for name, member in self.members.items()}

    def spend_given(
        self, examples: pl.DataFrame, by_members: Mapping[str, np.ndarray]
    ) -> np.ndarray:
        """`spend`, where it is known already what the encoders expect."""
        settings = self.artifact.settings
        total = self.artifact.models.expected_spend(settings.champion, examples, by_members)
        return heeded_spend(settings.standings, examples, total, settings.horizon_days)


def load_champion(artifact: Artifact, folders: Mapping[str, Path]) -> Champion:
    """With the encoders that the champion reads, out of the folders of these names."""
    return Champion(
        artifact, {name: _load(folders[name], artifact.items) for name in artifact.members}
    )


def _load(folder: Path, items: pl.DataFrame) -> "MemberPredictor":
    from lifecycle.llama.predict import load_member  # torch, which the cheap models do without

    return load_member(folder, items)
