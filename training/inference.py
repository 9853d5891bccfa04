"""LLaMA over many customers: Ray Data feeds prompts to actors that each hold the model."""

import logging
import time
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import ray

from lifecycle.jobs import Progress
from lifecycle.member import DecoderSettings, decoder_of, read_member
from training.ray_start import require_resources, start_ray

logger = logging.getLogger(__name__)


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


def llama_spend(member: Path, prompts: pl.Series, num_workers: int) -> tuple[np.ndarray, float]:
    """A member's expected spend for each prompt, in currency, shape (n,), and customers per second of all workers.

    The time to start workers and to load the model does not count as speed: it is the same for a million customers.
    """
    arguments: dict[str, object] = {"member": member.absolute(), "settings": decoder_of(read_member(member))}
    table = map_rows(
        prompts.to_frame("prompt").to_arrow(), ValueActor, arguments,
        label="valued by LLaMA", num_workers=num_workers, block_rows=64,
    )  # fmt: skip
    return table["predicted"].to_numpy(), num_workers * table.num_rows / float(np.sum(table["seconds"].to_numpy()))


def map_rows(
    table: pa.Table, actor: type, arguments: dict[str, object], *, label: str, num_workers: int, block_rows: int
) -> pa.Table:
    """The rows of `table`, in order, with the columns that the actor adds; logs progress and ETA."""
    start_ray()
    require_resources(num_workers, 1.0, "cpu")
    numbered = table.append_column("__row", pa.array(np.arange(table.num_rows)))
    blocks = [numbered.slice(start, block_rows) for start in range(0, table.num_rows, block_rows)]
    ray.data.DataContext.get_current().enable_progress_bars = False
    results = ray.data.from_arrow(blocks).map_batches(
        actor,
        fn_constructor_kwargs=arguments,
        batch_size=None,
        batch_format="pyarrow",
        num_cpus=1,
        compute=ray.data.ActorPoolStrategy(size=num_workers),
    )
    progress = Progress(label, table.num_rows, "customers")
    parts = []
    for part in results.iter_batches(batch_size=None, batch_format="pyarrow"):
        parts.append(part)
        progress.advance(part.num_rows)
    return pa.concat_tables(parts).sort_by("__row").drop_columns(["__row"])
