"""The parts that customers are scored in: shards of the events, or pieces of them where there are few shards."""

import shutil
from dataclasses import dataclass
from datetime import datetime
from itertools import product
from pathlib import Path
from typing import Literal

import polars as pl

from lifecycle.events.shards import shard_numbers, shard_paths
from lifecycle.folders import whole_file
from lifecycle.state.files import CUSTOMERS_FILE, write_answers
from training.score.member_cache import MEMBERS_FILE, MemberCache, empty_cache
from training.score.recipe import SCORES_FILE

MIN_PARTS = 8


@dataclass(frozen=True)
class ScoreParts:
    """What is scored, by which artifact, at which instant; parts are kept in `folder` until all are there."""

    artifact: Path
    data: Path
    as_of: datetime
    folder: Path
    explain: Literal["features", "events"] | None = None
    previous: Path | None = None
    max_age_days: int = 0
    with_state: bool = False  # also the encoded answers

    @property
    def by_features(self) -> bool:
        """Whether it is told which features moved each prediction most."""
        return self.explain == "features" or self.with_state

    @property
    def num_shards(self) -> int:
        """Of the events."""
        return len(shard_paths(self.data))

    @property
    def num_pieces(self) -> int:
        """Parts of one shard, so that there are at least MIN_PARTS in all."""
        return -(-MIN_PARTS // self.num_shards)

    def numbers(self) -> list[tuple[int, int]]:
        """Shard and piece of every part."""
        return list(product(range(self.num_shards), range(self.num_pieces)))

    def missing(self) -> list[tuple[int, int]]:
        """Those of the parts that are not there yet."""
        return [number for number in self.numbers() if not self.file(*number).exists()]

    def own(self, rows: pl.DataFrame, shard: int, piece: int) -> pl.DataFrame:
        """Those of the rows whose customers belong to a part."""
        numbers = shard_numbers(rows["customer_id"], self.num_shards * self.num_pieces)
        return rows.filter(numbers == shard + piece * self.num_shards)

    def file(self, shard: int, piece: int) -> Path:
        """Where the scores of a part go."""
        return self.folder / f"{shard:05d}-{piece}.parquet"

    def members_file(self, shard: int, piece: int) -> Path:
        """Where what the encoders expect of a part goes."""
        return self.folder / f"members-{shard:05d}-{piece}.parquet"

    def answers_file(self, shard: int, piece: int) -> Path:
        """Where the encoded answers for a part go."""
        return self.folder / f"answers-{shard:05d}-{piece}.parquet"

    def files(self) -> list[Path]:
        """The scores of every part."""
        return [self.file(*number) for number in self.numbers()]

    def cache(self, names: list[str]) -> MemberCache:
        """What the encoders of these names expected when customers were scored before."""
        file = None if self.previous is None else self.previous / MEMBERS_FILE
        if file is None or not file.exists():
            return empty_cache(names)
        return MemberCache(pl.read_parquet(file), self.max_age_days)


def write_whole(rows: pl.DataFrame, file: Path) -> None:
    """The file appears whole or not at all."""
    with whole_file(file) as unfinished:
        rows.write_parquet(unfinished)


def require_customers(parts: ScoreParts) -> int:
    """How many customers all parts have; ValueError, and no parts any more, where nobody is known yet."""
    num_customers = int(pl.scan_parquet(parts.files()).select(pl.len()).collect().item())
    if num_customers == 0:
        shutil.rmtree(parts.folder)
        raise ValueError(
            f"{parts.data} has no customer with an event before {parts.as_of.isoformat()}"
        )
    return num_customers


def merge_scores(parts: ScoreParts, folder: Path) -> None:
    """Write scores.parquet into `folder`, and what encoders expect."""
    members = [parts.members_file(*number) for number in parts.numbers()]
    members = [file for file in members if file.exists()]
    if members:
        pl.scan_parquet(members).sink_parquet(folder / MEMBERS_FILE)
    pl.scan_parquet(parts.files()).sink_parquet(folder / SCORES_FILE)


def merge_state(parts: ScoreParts, folder: Path) -> None:
    """Write customer state into `folder`: the encoded answers, and the table that is paged through."""
    write_answers(
        folder, (pl.read_parquet(parts.answers_file(*number)) for number in parts.numbers())
    )
    scores = pl.scan_parquet(parts.files()).drop("explanation", strict=False)
    scores.sort("customer_id").sink_parquet(folder / CUSTOMERS_FILE)
