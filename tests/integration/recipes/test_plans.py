"""Plans, trials, pauses and cancellations of a simulated shop: what is said, beside what customers went on to do."""

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from lifecycle.artifact.assessment import Assessment, assess_buyers, assess_prospects
from lifecycle.artifact.contents import Artifact
from lifecycle.artifact.files import load_artifact
from lifecycle.value.standing import standing_of
from serving.api.histories import Customer
from serving.api.scoring import queries_of
from serving.predict.predictor import Predictor
from serving.store.events import EventStore
from tests.integration.recipes.plans import simulated_plans, write_log
from training.evaluate.job import evaluate
from training.evaluate.recipe import EvaluateConfig
from training.ingest.job import ingest
from training.ingest.recipe import IngestConfig
from training.prepare.job import prepare
from training.prepare.recipe import PrepareConfig
from training.results.arena import Results
from training.score.job import score
from training.score.recipe import ScoreConfig

pytestmark = pytest.mark.integration
YEAR_DAYS = 360
SOURCE = {
    "kind": {"sql": "kind"},
    "columns": {
        "customer_id": "account",
        "occurred_at": "at",
        "amount": "price",
        "item_id": "plan",
        "quantity": 1,
        "plan_days": "covers",
    },
}


@dataclass(frozen=True)
class Shop:
    """What the jobs made of a log that ends long before the simulation does."""

    folder: Path
    artifact: Artifact
    future: pl.DataFrame  # of the whole simulation, paid events
    cutoff: datetime

    @property
    def data(self) -> Path:
        return self.folder / "data"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    folder = tmp_path_factory.mktemp("plans")
    events = simulated_plans(2500, 7)
    write_log(folder / "log.csv", events)
    source = SOURCE | {"path": str(folder / "log.csv")}
    recipe = {"sources": [source], "currency": "EUR", "output": folder / "data"}
    ingest(IngestConfig.model_validate(recipe))
    examples = {"data": folder / "data", "split": "time", "output": folder / "examples"}
    prepare(PrepareConfig.model_validate(examples | {"horizon_days": 90, "num_train_cutoffs": 4}))
    evaluate(
        EvaluateConfig.model_validate(
            {
                "data": folder / "data",
                "examples": folder / "examples",
                "models": ["persistence", "bgnbd_gg", "lightgbm", "hurdle", "popularity"],
                "num_resamples": 20,
                "clv": {"period_days": 30, "num_periods": 12, "annual_discount_rate": 0.0},
                "report_html": False,
                "output": folder / "arena",
            }
        )
    )
    cutoff = pl.read_parquet(folder / "examples" / "test.parquet", columns=["cutoff"])["cutoff"][0]
    paid = events.filter((pl.col("price") > 0) & (pl.col("at") >= cutoff))
    return Shop(folder, load_artifact(folder / "arena" / "artifact"), paid, cutoff)


@dataclass(frozen=True)
class Judged:
    """The test customers with what is said of them, and what they did."""

    rows: pl.DataFrame
    assessment: Assessment

    def of(self, standing: str, plan_days: float | None = None) -> pl.DataFrame:
        rows = self.rows.filter(pl.col("standing") == standing)
        return rows if plan_days is None else rows.filter(pl.col("plan_days") == plan_days)


@pytest.fixture(scope="module")
def judged(shop: Shop) -> Judged:
    test = pl.read_parquet(shop.folder / "examples" / "test.parquet")
    champion = shop.artifact.settings.champion
    predictions = pl.read_parquet(shop.folder / "arena" / "predictions.parquet")
    mine = predictions.filter(pl.col("model") == champion).select("customer_id", "predicted")
    test = test.join(mine, on="customer_id", maintain_order="left")
    found = assess_buyers(shop.artifact, test, test["predicted"].to_numpy())
    until = shop.cutoff + timedelta(days=YEAR_DAYS)
    year = shop.future.filter(pl.col("at") < until).group_by("account").agg(pl.sum("price"))
    first = shop.future.group_by("account").agg(pl.min("at").alias("next"))
    rows = (
        test.join(
            year, left_on="customer_id", right_on="account", how="left", maintain_order="left"
        )
        .join(first, left_on="customer_id", right_on="account", how="left", maintain_order="left")
        .with_columns(
            pl.col("price").fill_null(0.0),
            standing=pl.Series(standing_of(test).astype(str)),
            clv=pl.Series(found.values.clv),
            p_active=pl.Series(found.values.p_active),
            churn=pl.Series(found.values.churn_probability),
            revenue=pl.Series(found.values.period_revenue[:, :3].sum(axis=1)),
            stage=pl.Series(found.labels["stage"].astype(str)),
        )
    )
    return Judged(rows, found)


def test_all_customers_of_plans_have_a_standing(judged: Judged) -> None:
    counts = dict(judged.rows["standing"].value_counts().iter_rows())
    assert set(counts) == {"paid", "cancelled", "overdue", "paused"}
    assert min(counts.values()) > 50


def test_what_is_judged_is_what_is_served_and_better_than_models_alone(
    shop: Shop, judged: Judged
) -> None:
    spent = judged.rows["predicted"].to_list()
    assert judged.rows["revenue"].to_list() == pytest.approx(spent, rel=1e-9, abs=1e-9)
    metrics = Results.read(shop.folder / "arena" / "metrics.json")
    champion = metrics.models[str(metrics.champion)]
    others = [one for name, one in metrics.models.items() if name != metrics.champion]
    assert len(others) == 3
    for one in others:
        assert champion.rmse < 0.9 * one.rmse and champion.mae < 0.9 * one.mae


@pytest.mark.parametrize(("plan_days", "within"), [(30.0, 0.1), (365.0, 0.15)])
def test_value_of_a_plan_is_what_it_goes_on_to_pay(
    judged: Judged, plan_days: float, within: float
) -> None:
    """Over a year, four times as long as the horizon that models learned."""
    rows = judged.of("paid", plan_days)
    assert rows["clv"].sum() == pytest.approx(rows["price"].sum(), rel=within)
    assert rows["predicted"].sum() == pytest.approx(rows["target"].sum(), rel=within)


@pytest.mark.parametrize("plan_days", [30.0, 365.0])
def test_churn_of_a_plan_is_the_chance_that_its_next_payment_does_not_come(
    judged: Judged, plan_days: float
) -> None:
    """Whenever it is due: that of a year's plan lies beyond the horizon for most. Pauses put it off."""
    rows = judged.of("paid", plan_days)
    wait = (pl.col("plan_days_left") + 0.1 * pl.col("plan_days") + 60) * 86_400e6
    due = pl.col("cutoff") + wait.cast(pl.Int64).cast(pl.Duration("us"))
    left = rows.select((pl.col("next").is_null() | (pl.col("next") > due)).mean()).item()
    assert rows["churn"].mean() == pytest.approx(left, abs=0.05)
    assert (rows["p_active"] >= 1 - rows["churn"]).all()


def test_annual_customer_who_paid_200_days_ago_is_at_home(judged: Judged) -> None:
    rows = judged.of("paid", 365.0).filter(pl.col("recency_days").is_between(180, 270))
    assert rows.height > 20
    assert "lapsed" not in rows["stage"]
    assert (rows["p_active"] == 1.0).all() and rows["churn"].max() < 0.5  # type: ignore[operator]
    assert (rows["predicted"] == 0.0).all() and (rows["clv"] > 0.0).all(), "due after the horizon"


@pytest.mark.parametrize("standing", ["cancelled", "overdue", "paused"])
def test_who_stopped_comes_back_as_such_customers_did(judged: Judged, standing: str) -> None:
    rows = judged.of(standing)
    expected = (1 - rows["churn"]).sum()
    came = (rows["num_orders_ahead"] > 0).sum()
    assert abs(came - expected) < 3 * math.sqrt(expected + 1) + 0.2 * expected
    assert rows["p_active"].to_list() == pytest.approx((1 - rows["churn"]).to_list())


def test_stages_tell_who_left_from_who_pauses(judged: Judged) -> None:
    assert set(judged.of("cancelled")["stage"]) == {"lapsed"}
    paused = judged.of("paused")
    is_long = (pl.col("paused_days") > 91) & (pl.col("churn") >= 0.5)
    assert set(paused.filter(is_long)["stage"]) == {"lapsed"}
    assert "lapsed" not in paused.filter(~is_long)["stage"]
    recent = paused.filter(pl.col("paused_days") < 30)
    usual = judged.of("paid")["churn"].mean()
    gone = judged.of("cancelled")["churn"].mean()
    assert usual < recent["churn"].mean() < gone  # type: ignore[operator]


def test_trial_at_price_zero_makes_a_prospect_who_converts_as_trials_do(shop: Shop) -> None:
    rows = pl.read_parquet(shop.folder / "examples" / "prospects.parquet")
    trials = rows.filter((pl.col("cutoff") == shop.cutoff) & (pl.col("trial_days") <= 14))
    found = assess_prospects(shop.artifact, trials)
    assert set(found.labels["stage"]) == {"acquisition"}
    long_ago = rows.filter((pl.col("cutoff") == shop.cutoff) & (pl.col("trial_days") > 200))
    silent = assess_prospects(shop.artifact, long_ago)
    assert found.values.p_active.min() > 3 * silent.values.p_active.max()
    assert found.values.clv.min() > 3 * silent.values.clv.max()


def test_scores_equal_served_values_bit_for_bit(shop: Shop) -> None:
    output = shop.folder / "scores"
    score(ScoreConfig(data=shop.data, artifact=shop.artifact.folder, output=output))
    scores = pl.read_parquet(output / "scores.parquet")
    store = EventStore(shop.data)
    predictor = Predictor(shop.artifact.folder)
    sample = scores.sample(60, seed=1)
    asked = [Customer(customer_id=name) for name in sample["customer_id"]]
    queries = queries_of(store, asked)
    answers = [predictor.value([query])[0] for query in queries]
    names = [name for name in scores.columns if name not in ("customer_id", "as_of")]
    for row, answer in zip(sample.iter_rows(named=True), answers, strict=True):
        for name in names:
            assert row[name] == answer[name.removeprefix("clv_")], (row["customer_id"], name)
