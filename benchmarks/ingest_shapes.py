"""Whether ingest stays fast on odd shapes: `python -m benchmarks.ingest_shapes [--rows 250000] [--runs 3]`.

Each shape is ingested with that many rows and with four times as many. `shapes` has the second time
over the first, each the median of several runs in turn; 4 is in proportion. Rows that
take more memory each are fewer.
"""

import argparse
import shutil
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.harness.evidence import Json, write_evidence
from benchmarks.harness.scratch import scratch_folder
from training.ingest.job import ingest
from training.ingest.recipe import IngestConfig

SEED = 11
TIMES = 4
START = 1_704_067_200_000_000  # microseconds since 1970
Shape = Callable[[int], pl.DataFrame]
COLUMNS = {"customer_id": "c", "occurred_at": "t", "item_id": "i", "quantity": "q", "amount": "a"}


def ordinary(number: int) -> pl.DataFrame:
    """Customers with some ten lines each."""
    random = np.random.default_rng(SEED)
    minutes = pl.Series(random.integers(0, 365 * 1440, number))
    quantity = random.integers(1, 5, number)
    return pl.DataFrame(
        {
            "c": random.integers(0, number // 10 + 1, number),
            "t": (minutes * 60_000_000 + START).cast(pl.Datetime("us")),
            "i": random.integers(0, 5_000, number),
            "q": quantity,
            "a": quantity * 2.5,
        }
    )


def one_customer(number: int) -> pl.DataFrame:
    """One customer has all lines."""
    return ordinary(number).with_columns(c=pl.lit(1))


def a_customer_each(number: int) -> pl.DataFrame:
    """Each line has a customer of its own."""
    return ordinary(number).with_columns(c=pl.int_range(number))


def an_item_each(number: int) -> pl.DataFrame:
    """Each line has an item of its own."""
    return ordinary(number).with_columns(i=pl.int_range(number))


def equal_rows(number: int) -> pl.DataFrame:
    """All lines are equal."""
    return pl.concat([ordinary(1)] * number)


def returns_of_a_till(number: int) -> pl.DataFrame:
    """One customer has all lines of one item, and half of them are returns."""
    is_return = np.random.default_rng(SEED).integers(0, 2, number) == 1
    sign = pl.when(pl.Series(is_return)).then(-1).otherwise(1)
    return ordinary(number).with_columns(
        c=pl.lit(1), i=pl.lit(1), q=pl.col("q") * sign, a=pl.col("a") * sign
    )


def repeated_ids(number: int) -> pl.DataFrame:
    """Each event id comes twice."""
    half = ordinary(number // 2).with_columns(e=pl.int_range(number // 2))
    return pl.concat([half, half])


def quoted_cells(number: int) -> pl.DataFrame:
    """Each line has a text of two lines, in quotes."""
    return ordinary(number // 2).with_columns(x=pl.lit('a "large"\nlamp'))


def large_cells(number: int) -> pl.DataFrame:
    """One line in a thousand, each with a text of 200,000 letters."""
    return ordinary(number // 1000).with_columns(x=pl.lit("word " * 40_000))


ROWS_PER_FILE = 250
SHAPES: dict[str, Shape] = {
    shape.__name__: shape
    for shape in (
        ordinary,
        one_customer,
        a_customer_each,
        an_item_each,
        equal_rows,
        returns_of_a_till,
        repeated_ids,
        quoted_cells,
        large_cells,
    )
}


def main() -> None:
    """Measure, print, write the evidence."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=250_000)
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    names = [*SHAPES, "small_files"]
    seconds = {name: measured(name, arguments.rows, arguments.runs) for name in names}
    ratios = {name: large / small for name, (small, large) in seconds.items()}
    numbers: dict[str, Json] = {
        "worst_ratio_4x": max(ratios.values()),
        "shapes": dict(ratios),
        "seconds": {name: list(both) for name, both in seconds.items()},
    }
    write_evidence("ingest_shapes", numbers, seeds=[SEED], data=[])


def measured(name: str, num_rows: int, runs: int) -> tuple[float, float]:
    """Seconds of a shape in both sizes, each the median of the runs."""
    with scratch_folder() as folder:
        recipes = [
            written(name, number, folder / str(number)) for number in (num_rows, TIMES * num_rows)
        ]
        seconds: list[list[float]] = [[], []]
        for _ in range(runs):
            for recipe, times in zip(recipes, seconds, strict=True):
                started_at = time.perf_counter()
                ingest(recipe)
                times.append(time.perf_counter() - started_at)
                shutil.rmtree(recipe.output)
    small, large = (statistics.median(times) for times in seconds)
    print(
        f"{name}: {small:.2f} s, {TIMES} times as much {large:.2f} s, {large / small:.2f}",
        flush=True,
    )
    return small, large


def written(name: str, num_rows: int, folder: Path) -> IngestConfig:
    """A shape's files, and the recipe for them."""
    lines = folder / "lines"
    lines.mkdir(parents=True)
    frame = SHAPES.get(name, ordinary)(num_rows)
    rows_per_file = ROWS_PER_FILE if name == "small_files" else max(frame.height, 1)
    for number, part in enumerate(frame.iter_slices(rows_per_file)):
        part.write_csv(lines / f"{number:06d}.csv")
    others = {"event_id": "e", "text": "x"}
    columns = COLUMNS | {name: own for name, own in others.items() if own in frame.columns}
    source = {
        "path": str(lines),
        "columns": columns,
        "kind": {"sql": "CASE WHEN q < 0 THEN 'refund' ELSE 'purchase' END"},
    }
    recipe = {"sources": [source], "output": str(folder / "data"), "quality_html": False}
    return IngestConfig.model_validate(recipe)


if __name__ == "__main__":
    main()
