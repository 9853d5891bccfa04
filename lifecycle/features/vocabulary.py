"""What items are known by in the sequence encoder: their own embedding, their category's, and their title's."""

from dataclasses import dataclass
from pathlib import Path

import polars as pl
from pydantic import Field

from lifecycle.config import Config

NONE = 0  # positions of items and categories; titles have no unknown
UNKNOWN = 1
FIRST_KNOWN = 2
FIRST_TITLE = 1
MONEY_UNIT = "money_unit"
VOCABULARY_FILE = "vocabulary.parquet"


class VocabularyRules(Config):
    """Which items have an embedding of their own; the others share one beside that of their category."""

    max_items: int = Field(5_000, ge=1)
    min_customers: int = Field(3, ge=1)  # that dealt with the item before the first training cutoff


@dataclass(frozen=True)
class Vocabulary:
    """A row per item: item_id, the positions item, category and title, and what the last two are called."""

    table: pl.DataFrame  # item_id, item, category, title, category_name (lower case), title_text
    money_unit: float = 1.0  # in which amounts are seen

    @property
    def num_items(self) -> int:
        """Positions of items, NONE and UNKNOWN among them."""
        return max(_largest(self.table["item"]) + 1, FIRST_KNOWN)

    @property
    def num_categories(self) -> int:
        """Positions of categories, NONE and UNKNOWN among them."""
        return max(_largest(self.table["category"]) + 1, FIRST_KNOWN)

    @property
    def titles(self) -> list[str]:
        """The distinct titles in the order of their positions, from FIRST_TITLE on."""
        return _names(self.table, "title", "title_text").sort("title")["title_text"].to_list()

    @property
    def title_of_item(self) -> list[int]:
        """The title's position for each position of an item."""
        known = self.table.filter(pl.col("item") >= FIRST_KNOWN)
        of_items = dict(known.select("item", "title").iter_rows())
        return [of_items.get(item, NONE) for item in range(self.num_items)]

    def with_catalogue(self, items: pl.DataFrame) -> "Vocabulary":
        """The same with a catalogue's new items, which have no embedding of their own; nothing known moves."""
        new = items.join(self.table, on="item_id", how="anti")
        named = _names(self.table, "category", "category_name")
        categories = named.filter(pl.col("category") >= FIRST_KNOWN)
        known = _names(self.table, "title", "title_text")
        given = new.select(title_text="title").drop_nulls().unique()
        unseen = given.join(known, on="title_text", how="anti")
        added = _numbered(unseen, "title", FIRST_TITLE + known.height)
        titles = pl.concat([known, added], how="diagonal")
        table = pl.concat([self.table, _placed(new, NO_ITEMS, categories, titles)])
        return Vocabulary(table, self.money_unit)

    def save(self, folder: Path) -> None:
        """Write as Parquet."""
        self.table.write_parquet(
            folder / VOCABULARY_FILE, metadata={MONEY_UNIT: repr(self.money_unit)}
        )

    @classmethod
    def load(cls, folder: Path) -> "Vocabulary":
        """What `save` wrote."""
        path = folder / VOCABULARY_FILE
        unit = pl.read_parquet_metadata(path).get(MONEY_UNIT, "1.0")  # of before there was one
        return cls(pl.read_parquet(path), float(unit))


NO_ITEMS = pl.DataFrame(schema={"item_id": pl.String, "item": pl.Int32})


def fit_vocabulary(
    num_customers: pl.DataFrame,
    items: pl.DataFrame,
    rules: VocabularyRules,
    money_unit: float = 1.0,
) -> Vocabulary:
    """The items that most customers had dealt with, all categories of the catalogue among theirs, and all titles.

    `num_customers` has item_id and customers, counted before the first training cutoff.
    """
    known = num_customers.filter(pl.col("customers") >= rules.min_customers)
    chosen = known.sort("customers", "item_id", descending=[True, False]).head(rules.max_items)
    catalogue = items.select("item_id", "category", "title")
    dealt_with = num_customers.select("item_id")
    everything = catalogue.join(dealt_with, on="item_id", how="full", coalesce=True)
    met = items.join(num_customers, on="item_id", how="semi")
    names = met.select(category_name=pl.col("category").str.to_lowercase()).drop_nulls().unique()
    titles = items.select(title_text="title").drop_nulls().unique()
    table = _placed(
        everything,
        _numbered(chosen.select("item_id"), "item", FIRST_KNOWN, sort=False),
        _numbered(names, "category", FIRST_KNOWN),
        _numbered(titles, "title", FIRST_TITLE),
    )
    return Vocabulary(table.sort("item_id"), money_unit)


def _placed(
    items: pl.DataFrame, own: pl.DataFrame, categories: pl.DataFrame, titles: pl.DataFrame
) -> pl.DataFrame:
    """The rows of a vocabulary for some items, by the positions of items, category names and titles."""
    named = items.select(
        "item_id",
        category_name=pl.col("category").str.to_lowercase(),
        title_text=pl.col("title").cast(pl.String),
    )
    placed = (
        named.join(own, on="item_id", how="left")
        .join(categories, on="category_name", how="left")
        .join(titles, on="title_text", how="left")
    )
    unknown_category = pl.when(pl.col("category_name").is_null()).then(NONE).otherwise(UNKNOWN)
    return placed.select(
        "item_id",
        pl.col("item").fill_null(UNKNOWN).cast(pl.Int32),
        pl.coalesce("category", unknown_category).cast(pl.Int32).alias("category"),
        pl.col("title").fill_null(NONE).cast(pl.Int32),
        "category_name",
        "title_text",
    )


def _numbered(names: pl.DataFrame, position: str, first: int, *, sort: bool = True) -> pl.DataFrame:
    """The rows of a table of one column with a column of positions, in alphabetical order or in their own."""
    ordered = names.sort(names.columns) if sort else names
    return ordered.with_row_index(position, first).with_columns(pl.col(position).cast(pl.Int32))


def _names(table: pl.DataFrame, position: str, name: str) -> pl.DataFrame:
    """The distinct positions and their names."""
    return table.select(position, name).drop_nulls().unique()


def _largest(positions: pl.Series) -> int:
    return int(positions.max() or 0)  # type: ignore[arg-type]
