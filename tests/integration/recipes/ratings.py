"""Exports of ratings, as training/configs/ratings_ingest.yaml reads them."""

from pathlib import Path

import numpy as np

from tests.integration.recipes.files import Row, write_csv

NUM_TASTES = 6
ITEMS_OF_A_TASTE = 30
FIRST_SECOND = 1_700_000_000
DAY_SECONDS = 86_400


def write_ratings(folder: Path, users: list[str], seed: int) -> None:
    """Write ratings.csv and items.csv; everybody keeps mostly to the items of one taste, each rated once."""
    random = np.random.default_rng(seed)
    items = [f"i{number}" for number in range(NUM_TASTES * ITEMS_OF_A_TASTE)]
    appeal = random.zipf(1.8, len(items)).clip(1, 50).astype(float)
    ratings: list[Row] = []
    for user in users:
        taste = random.integers(NUM_TASTES)
        chances = appeal * np.where(np.arange(len(items)) % NUM_TASTES == taste, 20.0, 1.0)
        num_ratings = 1 + random.poisson(6)
        chosen = random.choice(items, num_ratings, replace=False, p=chances / chances.sum())
        days = np.sort(random.uniform(0, 400, num_ratings))
        for item, day in zip(chosen, days, strict=True):
            second = FIRST_SECOND + int(day * DAY_SECONDS)
            ratings.append((user, str(item), int(random.integers(2, 6)), second))
    titles: list[Row] = [
        (item, f"Story {number}, part {number % 3}", f"taste {number % NUM_TASTES}")
        for number, item in enumerate(items)
    ]
    write_csv(folder / "ratings.csv", "user_id,item_id,rating,timestamp", ratings)
    write_csv(folder / "items.csv", "item_id,title,category", titles)
