"""The recipe of ingest."""

from datetime import date
from pathlib import Path

from pydantic import Field, model_validator

from lifecycle.config import Config
from training.ingest.currencies import Rates, RatesTable
from training.ingest.event_ids import OnRepeatedId
from training.ingest.logged import LoggedEvents
from training.ingest.rules import MissingRules, OutlierRules
from training.ingest.sources import CURRENCY, Source, Table


class CustomerTable(Table):
    """Customer attributes. Only those declared usable may be predicted from; the rest serve to audit bias alone."""

    usable_for_prediction: dict[str, bool] = {}


class IngestConfig(Config):
    """Recipe of `python -m training.ingest`."""

    sources: tuple[Source, ...]  # may be empty where there is a log
    log: LoggedEvents | None = None  # of events that came over HTTP
    tombstones: Path | None = None  # of erased customers, whose rows are left out
    # Of the tombstones; None: that of EVERVALUE_ERASURE_KEY, else in the user's folder.
    key: Path | None = None
    items: Table | None = None
    customers: CustomerTable | None = None
    currency: str = "USD"
    rates: Rates = {}  # of other currencies, where sources map a `currency`
    rates_table: RatesTable | None = None  # more of them
    output: Path
    num_shards: int | None = Field(None, ge=1, le=512)  # None: from the size of the sources
    # Which of rows that differ under one event_id holds: by their `version`, or the order in which they are read.
    on_repeated_id: OnRepeatedId = "error"
    missing: MissingRules = MissingRules()
    outliers: OutlierRules = OutlierRules()
    # The first and the last day (UTC) that count. None: dates far from all others are set apart.
    first_date: date | None = None
    last_date: date | None = None
    # Of the rows that name something in a lookup or in the customer table; fewer are an error.
    min_matched_share: float = Field(0.5, ge=0, le=1)
    # Ids of more than one customer, whose rows are left out. None: those that have a name of nobody, such as guest.
    shared_ids: tuple[str, ...] | None = None
    quality_html: bool = True

    @property
    def timezone(self) -> str:
        """The zone of the shop's days: the first that a source names, UTC where none does."""
        zones = [source.timezone for source in self.sources if source.timezone != "UTC"]
        return zones[0] if zones else "UTC"

    @property
    def states_currency(self) -> bool:
        """Whether the recipe says itself in which currency results are."""
        maps_one = any(CURRENCY in source.columns for source in self.sources)
        has_rates = bool(self.rates) or self.rates_table is not None
        return "currency" in self.model_fields_set or maps_one or has_rates

    @property
    def source_names(self) -> tuple[str, ...]:
        """The sources and the log, in the order in which they are read."""
        names = tuple(source.path for source in self.sources)
        return names if self.log is None else (*names, self.log.source.path)

    @model_validator(mode="after")
    def _something_is_read(self) -> "IngestConfig":
        if not self.source_names:
            raise ValueError("sources is empty; it needs a source, or the recipe a log")
        return self

    @model_validator(mode="after")
    def _dates_in_order(self) -> "IngestConfig":
        if self.first_date and self.last_date and self.last_date < self.first_date:
            raise ValueError(f"last_date {self.last_date} lies before first_date {self.first_date}")
        return self
