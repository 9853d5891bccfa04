"""The recipe of ingest."""

from pathlib import Path

from pydantic import Field

from lifecycle.config import Config
from training.ingest.rules import MissingRules, OutlierRules
from training.ingest.tables.sources import Source, Table


class CustomerTable(Table):
    """Customer attributes. Only those declared usable may be predicted from; the rest serve to audit bias alone."""

    usable_for_prediction: dict[str, bool] = {}


class IngestConfig(Config):
    """Recipe of `python -m training.ingest`."""

    sources: tuple[Source, ...] = Field(min_length=1)
    items: Table | None = None
    customers: CustomerTable | None = None
    currency: str = "USD"
    output: Path
    num_shards: int | None = Field(None, ge=1, le=512)  # None: from the size of the sources
    missing: MissingRules = MissingRules()
    outliers: OutlierRules = OutlierRules()
    # Of the rows that name something in a lookup or in the customer table; fewer are an error.
    min_matched_share: float = Field(0.5, ge=0, le=1)
    quality_html: bool = True
