"""LLaMA over many customers: Ray Data feeds prompts to actors that each hold the model."""

import logging
import time
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import ray

from lifecycle.events import read_items, shard_numbers, shard_paths
from lifecycle.jobs import Progress
from lifecycle.member import DecoderSettings, decoder_of, is_sequence, read_member
from training.ray_start import require_resources, start_ray

logger = logging.getLogger(__name__)
ROW = "__row"


class ValueActor:
    """Holds a fine-tuned member on one core and turns prompts into expected spend."""

    def __init__(self, member: Path, settings: DecoderSettings) -> None:
        from lifecycle.predict import load_value_predictor

        self.predictor = load_value_predictor(member, settings)

    def __call__(self, batch: pa.Table) -> pa.Table:
        """Adds the columns `predicted` and `seconds`, which is this batch's time shared among its rows."""
        started_at = time.perf_counter()
        predicted = self.predictor.expected_spend(batch["prompt"].to_pylist())
        seconds = np.full(batch.num_rows, (time.perf_counter() - started_at) / batch.num_rows)
        return batch.append_column("predicted", pa.array(predicted)).append_column("seconds", pa.array(seconds))


class SequenceActor:
    """Holds a sequence encoder on one core and turns customers at their cutoffs into expected spend."""

    def __init__(self, member: Path, data: Path) -> None:
        from lifecycle.sequence_predict import load_sequence_predictor

        self.predictor = load_sequence_predictor(member, read_items(data))

    def __call__(self, batch: pa.Table) -> pa.Table:
        """Adds the columns `predicted` and `seconds` to rows of one shard: customer_id, cutoff, shard (its path)."""
        keys, events = _with_events(batch)
        started_at = time.perf_counter()
        predicted = self.predictor.expected_spend(events, keys)
        seconds = np.full(batch.num_rows, (time.perf_counter() - started_at) / batch.num_rows)
        return batch.append_column("predicted", pa.array(predicted)).append_column("seconds", pa.array(seconds))


class StateActor(SequenceActor):
    """The same, but turns customers into the encoder's states."""

    def __call__(self, batch: pa.Table) -> pa.Table:
        """Adds the column `state` to rows of one shard: customer_id, cutoff, shard (its path)."""
        keys, events = _with_events(batch)
        return batch.append_column("state", pa.array(list(self.predictor.states(events, keys))))


def _with_events(batch: pa.Table) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Keys of customers of one shard, and all their events."""
    keys = pl.from_arrow(batch)
    assert isinstance(keys, pl.DataFrame)
    customers = keys["customer_id"].unique()
    rows = pl.scan_parquet(keys["shard"][0]).filter(pl.col("customer_id").is_in(customers.implode()))
    return keys, rows.collect()


class HiddenActor:
    """Holds the untrained base model and turns prompts into its hidden states after some numbers of layers."""

    def __init__(self, settings: DecoderSettings, depths: list[int | None]) -> None:
        from lifecycle.predict import load_hidden_predictor

        self.predictor, self.depths = load_hidden_predictor(settings), depths

    def __call__(self, batch: pa.Table) -> pa.Table:
        """Adds a column `hidden_<position>` for each of the depths."""
        hidden = self.predictor.hidden(batch["prompt"].to_pylist(), self.depths)
        for position in range(len(self.depths)):
            batch = batch.append_column(f"hidden_{position}", pa.array(list(hidden[:, position])))
        return batch


class RerankActor:
    """Holds the base language model and re-ranks candidates by likelihood."""

    def __init__(self, base_model: str, attention: str) -> None:
        from lifecycle.predict import load_reranker

        self.reranker = load_reranker(base_model, attention)

    def __call__(self, batch: pa.Table) -> pa.Table:
        """Adds the column `scores`, one list per customer in the order of its candidates."""
        scores = [
            self.reranker.scores(prompt, texts)
            for prompt, texts in zip(batch["prompt"].to_pylist(), batch["texts"].to_pylist(), strict=True)
        ]
        return batch.append_column("scores", pa.array(scores, type=pa.list_(pa.float64())))


def member_spend(member: Path, data: Path, examples: pl.DataFrame, num_workers: int) -> tuple[np.ndarray, float]:
    """A member's expected spend of examples, in currency, shape (n,), and customers per second of all workers.

    `examples` has customer_id, cutoff and prompt. The time to start workers and to load the model does not count as
    speed: it is the same for a million customers.
    """
    manifest, folder = read_member(member), member.absolute()
    label = f"valued by {manifest['name']}"
    if is_sequence(manifest):
        blocks = _blocks_by_shard(data, examples)
        table = map_blocks(
            blocks, SequenceActor, {"member": folder, "data": data.absolute()}, label=label, num_workers=num_workers
        )
    else:
        prompts = examples.select("prompt").to_arrow()
        arguments: dict[str, object] = {"member": folder, "settings": decoder_of(manifest)}
        table = map_rows(prompts, ValueActor, arguments, label=label, num_workers=num_workers, block_rows=64)
    return table["predicted"].to_numpy(), num_workers * table.num_rows / float(np.sum(table["seconds"].to_numpy()))


def member_states(member: Path, data: Path, keys: pl.DataFrame, num_workers: int) -> np.ndarray:
    """What a sequence encoder makes of customers at their cutoffs: its states, shape (n, hidden)."""
    arguments: dict[str, object] = {"member": member.absolute(), "data": data.absolute()}
    blocks = _blocks_by_shard(data, keys)
    table = map_blocks(blocks, StateActor, arguments, label="customers read for groups", num_workers=num_workers)
    return np.stack(table["state"].to_numpy())


def _blocks(table: pa.Table, block_rows: int) -> list[pa.Table]:
    numbered = table.append_column(ROW, pa.array(np.arange(table.num_rows)))
    return [numbered.slice(start, block_rows) for start in range(0, table.num_rows, block_rows)]


def _blocks_by_shard(data: Path, examples: pl.DataFrame) -> list[pa.Table]:
    """Blocks whose customers lie in one shard of events each."""
    paths = [str(path.absolute()) for path in shard_paths(data)]
    shards = shard_numbers(examples["customer_id"], len(paths))
    rows = examples.select("customer_id", "cutoff").with_columns(
        pl.Series("shard", paths).gather(shards), pl.int_range(examples.height).alias(ROW)
    )
    return [part.to_arrow() for of_shard in rows.partition_by("shard") for part in of_shard.iter_slices(256)]


def map_rows(
    table: pa.Table,
    actor: type,
    arguments: dict[str, object],
    *,
    label: str,
    unit: str = "customers",
    num_workers: int,
    block_rows: int,
) -> pa.Table:
    """The rows of `table`, in order, with the columns that the actor adds; logs progress and ETA."""
    return map_blocks(_blocks(table, block_rows), actor, arguments, label=label, unit=unit, num_workers=num_workers)


def map_blocks(
    blocks: list[pa.Table],
    actor: type,
    arguments: dict[str, object],
    *,
    label: str,
    unit: str = "customers",
    num_workers: int,
) -> pa.Table:
    """The rows of all blocks in the order of their column ROW, with the columns that the actor adds to a block."""
    start_ray()
    require_resources(num_workers, 1.0, "cpu")
    ray.data.DataContext.get_current().enable_progress_bars = False
    results = ray.data.from_arrow(blocks).map_batches(
        actor,
        fn_constructor_kwargs=arguments,
        batch_size=None,
        batch_format="pyarrow",
        num_cpus=1,
        compute=ray.data.ActorPoolStrategy(size=num_workers),
    )
    progress = Progress(label, sum(block.num_rows for block in blocks), unit)
    parts = []
    for part in results.iter_batches(batch_size=None, batch_format="pyarrow"):
        parts.append(part)
        progress.advance(part.num_rows)
    return pa.concat_tables(parts).sort_by(ROW).drop_columns([ROW])
