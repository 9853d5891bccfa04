"""Rows through actors on Ray Data, in order, with progress."""

import numpy as np
import pyarrow as pa
import ray

from lifecycle.jobs import Progress
from training.distributed.cluster import start_ray_for

ROW = "__row"


def _blocks(table: pa.Table, block_rows: int) -> list[pa.Table]:
    numbered = table.append_column(ROW, pa.array(np.arange(table.num_rows)))
    return [numbered.slice(start, block_rows) for start in range(0, table.num_rows, block_rows)]


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
    return map_blocks(
        _blocks(table, block_rows),
        actor,
        arguments,
        label=label,
        unit=unit,
        num_workers=num_workers,
    )


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
    start_ray_for(num_workers, 1.0, "cpu")
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
