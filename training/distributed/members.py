"""Members and rankers over many customers: actors, and what they expect of all."""

import time
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa

from lifecycle.events.shards import read_items, shard_numbers, shard_paths
from lifecycle.llama.member import DecoderSettings, decoder_of, is_sequence, read_member
from training.distributed.map import ROW, map_blocks, map_rows


class ValueActor:
    """Holds a fine-tuned member on one core and turns prompts into expected spend."""

    def __init__(self, member: Path, settings: DecoderSettings) -> None:
        from lifecycle.llama.predict import load_value_predictor

        self.predictor = load_value_predictor(member, settings)

    def __call__(self, batch: pa.Table) -> pa.Table:
        """Adds the columns `predicted` and `seconds`, which is this batch's time shared among its rows."""
        started_at = time.perf_counter()
        predicted = self.predictor.expected_spend(batch["prompt"].to_pylist())
        seconds = np.full(batch.num_rows, (time.perf_counter() - started_at) / batch.num_rows)
        return batch.append_column("predicted", pa.array(predicted)).append_column(
            "seconds", pa.array(seconds)
        )


class SequenceActor:
    """Holds a sequence encoder on one core and turns customers at their cutoffs into expected spend."""

    def __init__(self, member: Path, data: Path) -> None:
        from lifecycle.llama.sequence_predict import load_sequence_predictor

        self.predictor = load_sequence_predictor(member, read_items(data))

    def __call__(self, batch: pa.Table) -> pa.Table:
        """Adds the columns `predicted` and `seconds` to rows of one shard: customer_id, cutoff, shard (its path)."""
        keys, events = _with_events(batch)
        started_at = time.perf_counter()
        predicted = self.predictor.expected_spend(events, keys)
        seconds = np.full(batch.num_rows, (time.perf_counter() - started_at) / batch.num_rows)
        return batch.append_column("predicted", pa.array(predicted)).append_column(
            "seconds", pa.array(seconds)
        )


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
    rows = pl.scan_parquet(keys["shard"][0]).filter(
        pl.col("customer_id").is_in(customers.implode())
    )
    return keys, rows.collect()


class HiddenActor:
    """Holds the untrained base model and turns prompts into its hidden states after some numbers of layers."""

    def __init__(self, settings: DecoderSettings, depths: list[int | None]) -> None:
        from lifecycle.llama.predict import load_hidden_predictor

        self.predictor = load_hidden_predictor(settings)
        self.depths = depths

    def __call__(self, batch: pa.Table) -> pa.Table:
        """Adds a column `hidden_<position>` for each of the depths."""
        hidden = self.predictor.hidden(batch["prompt"].to_pylist(), self.depths)
        for position in range(len(self.depths)):
            batch = batch.append_column(f"hidden_{position}", pa.array(list(hidden[:, position])))
        return batch


class RerankActor:
    """Holds a language model, untrained or a member of task rerank, and scores candidates by likelihood."""

    def __init__(self, base_model: Path, member: Path | None, attention: str) -> None:
        from lifecycle.llama.rerank import load_reranker

        self.reranker = load_reranker(base_model, attention, member)

    def __call__(self, batch: pa.Table) -> pa.Table:
        """Adds the column `scores`, one list per customer in the order of its candidates."""
        scores = [
            self.reranker.scores(prompt, texts)
            for prompt, texts in zip(
                batch["prompt"].to_pylist(), batch["texts"].to_pylist(), strict=True
            )
        ]
        return batch.append_column("scores", pa.array(scores, type=pa.list_(pa.float64())))


def member_spend(
    member: Path, data: Path, examples: pl.DataFrame, num_workers: int
) -> tuple[np.ndarray, float]:
    """A member's expected spend of examples, in currency, shape (n,), and customers per second of all workers.

    `examples` has customer_id, cutoff and prompt. The time to start workers and to load the model
    does not count as speed: it is the same for a million customers.
    """
    manifest = read_member(member)
    folder = member.absolute()
    label = f"valued by {manifest.name}"
    if is_sequence(manifest):
        blocks = _blocks_by_shard(data, examples)
        table = map_blocks(
            blocks,
            SequenceActor,
            {"member": folder, "data": data.absolute()},
            label=label,
            num_workers=num_workers,
        )
    else:
        prompts = examples.select("prompt").to_arrow()
        arguments: dict[str, object] = {"member": folder, "settings": decoder_of(manifest)}
        table = map_rows(
            prompts, ValueActor, arguments, label=label, num_workers=num_workers, block_rows=64
        )
    return table["predicted"].to_numpy(), num_workers * table.num_rows / float(
        np.sum(table["seconds"].to_numpy())
    )


def member_states(member: Path, data: Path, keys: pl.DataFrame, num_workers: int) -> np.ndarray:
    """What a sequence encoder makes of customers at their cutoffs: its states, shape (n, hidden)."""
    arguments: dict[str, object] = {"member": member.absolute(), "data": data.absolute()}
    blocks = _blocks_by_shard(data, keys)
    table = map_blocks(
        blocks, StateActor, arguments, label="customers read for groups", num_workers=num_workers
    )
    return np.stack(table["state"].to_numpy())


def _blocks_by_shard(data: Path, examples: pl.DataFrame) -> list[pa.Table]:
    """Blocks whose customers lie in one shard of events each."""
    paths = [str(path.absolute()) for path in shard_paths(data)]
    shards = shard_numbers(examples["customer_id"], len(paths))
    rows = examples.select("customer_id", "cutoff").with_columns(
        pl.Series("shard", paths).gather(shards), pl.int_range(examples.height).alias(ROW)
    )
    blocks: list[pa.Table] = []
    for of_shard in rows.partition_by("shard"):
        blocks += [part.to_arrow() for part in of_shard.iter_slices(256)]
    return blocks
