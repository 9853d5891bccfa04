"""A shop whose next item follows from the last one, and recipes for it."""

from pathlib import Path

import polars as pl

from training.ingest.job import ingest
from training.ingest.recipe import IngestConfig
from training.prepare.job import prepare
from training.prepare.recipe import PrepareConfig
from training.tasks.recipes.next_item import NextItemRecipe
from training.tasks.recipes.union import parse_recipe


def ingest_lines(
    lines: pl.DataFrame, folder: Path, items: pl.DataFrame | None = None
) -> tuple[Path, Path]:
    """An ingest folder and leave-one-out examples of lines customer, day, item; `items` has item, title, category."""
    lines.write_parquet(folder / "lines.parquet")
    recipe: dict[str, object] = {
        "sources": [
            {
                "path": str(folder / "lines.parquet"),
                "format": "parquet",
                "date_format": "epoch_s",
                "kind": "purchase",
                "columns": {
                    "customer_id": "customer",
                    "occurred_at": {"sql": "86400 * (day + 11000)"},
                    "item_id": "item",
                },
            }
        ],
        "quality_html": False,
        "output": str(folder / "data"),
    }
    if items is not None:
        items.write_parquet(folder / "items.parquet")
        recipe["items"] = {
            "path": str(folder / "items.parquet"),
            "format": "parquet",
            "columns": {name: name for name in items.columns},
        }
    ingest(IngestConfig.model_validate(recipe))
    examples = folder / "examples"
    prepare(PrepareConfig(data=folder / "data", split="leave_one_out", output=examples))
    return folder / "data", examples


def rounds(num_customers: int = 60, num_items: int = 12, length: int = 8) -> pl.DataFrame:
    """Everybody buys item after item in the same round, each from another one on."""
    rows = [
        (f"c{customer:02}", day, f"i{(5 * customer + day) % num_items:02}")
        for customer in range(num_customers)
        for day in range(length)
    ]
    return pl.DataFrame(rows, schema=["customer", "day", "item"], orient="row")


def recipe(folders: tuple[Path, Path], output: Path, **changes: object) -> NextItemRecipe:
    """A tiny encoder that learns the round in a few seconds."""
    tree: dict[str, object] = {
        "task": "next_item",
        "encoder": "sequence",
        "data": folders[0],
        "examples": folders[1],
        "sequence": {
            "hidden_size": 16,
            "num_layers": 1,
            "num_heads": 2,
            "dropout": 0.0,
            "convolution_taps": 2,
            "max_events": 5,
        },
        "vocabulary": {"max_items": 1000, "min_customers": 1},
        "dtype": "fp32",
        "optimizer": {"learning_rate": 1e-2, "weight_decay": 0.0},
        "zero": {"stage": 1},
        "global_batch": 16,
        "micro_batch": 8,
        "epochs": 12,
        "validation_rows": 40,
        "checkpoint_every_steps": 15,
        "num_workers": 0,
        "tracking": None,
        "output": output,
    }
    found = parse_recipe(tree | changes)
    assert isinstance(found, NextItemRecipe)
    return found
