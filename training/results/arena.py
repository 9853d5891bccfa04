"""metrics.json as a type: evaluate writes it; the report, the pipeline and benchmarks read it."""

from pathlib import Path
from typing import Self

from pydantic import JsonValue, ValidationError

from lifecycle.btyd.season import Season
from lifecycle.config import Config, describe
from lifecycle.folders import write_json
from lifecycle.value.costs import CostRate
from lifecycle.value.standing import Standings
from training.results.customers import Customers, Profit, Prospects, Worth
from training.results.recommend import RankMetrics, Recommender
from training.results.value import (
    BacktestWindow,
    BtydFit,
    Churn,
    Differences,
    FineTuning,
    IntervalResults,
    ModelMetrics,
    Selection,
    TotalError,
)


class Results(Config):
    """All that the arena found. The defaults are what examples of leave_one_out say of value: nothing."""

    cutoff: str | None = None
    horizon_days: int | None = None
    num_customers: int
    currency: str | None = None
    champion: str | None = None
    models: dict[str, ModelMetrics] = {}
    champion_minus: dict[str, Differences] = {}
    llama_gain: Differences | None = None  # the stack with LLaMA encoders minus that without
    stack: dict[str, float] | None = None  # the share of each model
    recommendation: dict[str, dict[str, dict[str, RankMetrics]]]  # by task, group and model
    recommender: Recommender
    selection: Selection | None = None
    total_error: TotalError | None = None
    backtests: list[BacktestWindow] = []
    intervals: IntervalResults | None = None
    customers: Customers | None = None
    worth: Worth | None = None
    profit: Profit | None = None
    churn: Churn | None = None
    prospects: Prospects | None = None
    standings: Standings | None = None
    fine_tuning: FineTuning | None = None
    costs: dict[str, CostRate] | None = None
    season: Season | None = None
    btyd_fits: dict[str, BtydFit] = {}
    refitted_at: str | None = None

    @classmethod
    def read(cls, path: Path) -> Self:
        """The file, checked. Raises ValueError naming it and every key that is wrong or missing."""
        try:
            results = cls.model_validate_json(path.read_bytes())
        except ValidationError as error:
            raise ValueError(f"{path}: {describe(error)}") from None
        missing = [key for key in cls.model_fields if key not in results.model_fields_set]
        if missing:
            raise ValueError(f"{path}: missing key {', '.join(missing)}")
        return results

    def content(self) -> dict[str, JsonValue]:
        """The JSON object, by the file's keys."""
        return self.model_dump(mode="json", by_alias=True)

    def write(self, path: Path) -> None:
        """Write the file, whole or not at all."""
        write_json(path, self.content())
