"""How models of value did, as metrics.json says it."""

from lifecycle.btyd.beta_geometric import BetaGeometricNbd
from lifecycle.btyd.gamma_gamma import GammaGamma
from lifecycle.btyd.pareto_nbd import ParetoNbd
from lifecycle.config import Config

Interval = tuple[float, float]
Difference = tuple[float, float, float]  # of two models, and the ends of its paired interval
Differences = dict[str, Difference | None]  # by metric; None where it is undefined


class SpendMetrics(Config):
    """How well spend was predicted; None where a metric is undefined."""

    mae: float
    rmse: float
    r2: float | None
    spearman: float | None
    gini: float | None
    decile_mape: float | None
    top_decile_share: float | None
    bias: float | None


class WindowMetrics(SpendMetrics):
    """How well spend was predicted in a window before the test cutoff."""

    bias_interval: Interval | None


class ModelMetrics(SpendMetrics):
    """How well a model predicted the test customers' spend, and the 95 % interval of each metric."""

    coverage_80: float
    coverage_95: float
    customers_per_second: float
    ci: dict[str, Interval | None]


class Selection(Config):
    """What the champion was chosen by."""

    rule: str
    clearly_better: list[str] | None  # than the stack; None without one
    num_customers: int
    shared_bias: float
    unsupported: dict[str, str]  # models that could not be chosen, and why
    any_fair: bool
    models: dict[str, WindowMetrics]  # on the selection customers
    backtest: dict[str, WindowMetrics] | None
    same_season: dict[str, WindowMetrics] | None = None  # a year before the test cutoff


class BacktestWindow(Config):
    """A window before the test cutoff that models were fitted for as if it were today."""

    cutoff: str
    horizon_days: int
    is_same_season: bool
    models: list[str]  # who was there


class TotalWindow(Config):
    """What all customers of one window were expected to spend and spent, [cutoff, until)."""

    window: str  # backtest or test
    cutoff: str
    until: str
    predicted: float
    actual: float
    bias: float | None  # predicted over actual
    bias_interval: Interval | None


class TotalError(Config):
    """Between which multiples of an expected total what comes lies at `level`; None where no window tells."""

    level: float
    low: float | None
    high: float | None
    windows: list[TotalWindow]


class IntervalMetrics(Config):
    """How good a model's intervals are."""

    coverage_80: float
    pit_coverage_80: float
    interval_score_80: float
    constant_interval_score_80: float
    coverage_95: float
    pit_coverage_95: float
    interval_score_95: float
    constant_interval_score_95: float


class GroupCoverage(Config):
    """Coverage of a group of customers; where the intervals are right PIT is within the margin of the level."""

    num_customers: int
    coverage_80: float
    pit_coverage_80: float
    margin_80: float  # three points, or two standard errors where these are more
    coverage_95: float
    pit_coverage_95: float
    margin_95: float


class IntervalResults(Config):
    """Intervals of all models; of the champion ranks, and coverage by predicted spend and by order days."""

    models: dict[str, IntervalMetrics]
    calibrated_on: str  # backtest or selection
    pit_shares: list[float]
    segments: dict[str, GroupCoverage]
    history: dict[str, GroupCoverage]


class BrierInterval(Config):
    """The 95 % interval of a Brier score."""

    brier: Interval


class ChurnCalibration(Config):
    """Mean probability and share of customers who bought nothing, by bin of the probability."""

    predicted: list[float]
    actual: list[float]


class ChurnMetrics(Config):
    """How well a model told who would buy nothing; None where nobody left, or everybody."""

    auroc: float | None
    brier: float
    brier_skill: float | None
    bias: float | None
    ci: BrierInterval
    calibration: ChurnCalibration


class Churn(Config):
    """All models of churn, which of them serves, and the Brier scores it was chosen by."""

    model: str
    rule: str
    share_left: float
    models: dict[str, ChurnMetrics]
    compared: dict[str, float | None]


class FineTuning(Config):
    """The text encoder beside linear probes of the untrained one and plain ridge, on a sample."""

    num_customers: int
    num_probe_rows: int
    models: dict[str, SpendMetrics]
    text_llama_minus: dict[str, Differences]


class BtydFit(Config):
    """Parameters of a buy-till-you-die model, and how its fits ended."""

    purchases: BetaGeometricNbd | ParetoNbd
    order_values: GammaGamma
