"""The recipes of a subscription business, from its exports to scores and a campaign list."""

import csv
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from tests.integration.recipes.files import read_json, rows_of
from tests.integration.recipes.sets import CONFIGS, beside, judge
from tests.integration.recipes.subscriptions import write_subscriptions
from tests.integration.runs import finish, start
from training.audience.job import audience
from training.audience.recipe import AudienceConfig
from training.ingest.job import ingest
from training.ingest.recipe import IngestConfig

pytestmark = pytest.mark.integration
FORMULA = '=HYPERLINK("http://x.example/","me")'
SCRIPT = "<script>alert(1)</script>"
ACCOUNTS = [f"A{number}" for number in range(500)] + [FORMULA, SCRIPT]
PAID = ("start", "renewal")
Rows = list[dict[str, str]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All that the recipes make of an export of 502 accounts."""
    with beside(tmp_path_factory.mktemp("set"), "subscriptions") as exports:
        write_subscriptions(exports, ACCOUNTS, 1)
        judge("subscriptions", "num_resamples=20")
    places = {
        "data": exports / "data",
        "artifact": exports / "arena" / "artifact",
        "output": exports / "scores",
    }
    words = [f"{key}={place}" for key, place in places.items()]
    finish(start(CONFIGS / "subscriptions_score.yaml", None, *words, module="training.score"))
    return exports


@pytest.fixture(scope="module")
def log(folder: Path) -> Rows:
    return rows_of(folder / "log.csv")


def paid_between(log: Rows, first: datetime, last: datetime) -> Counter[str]:
    """By account what was paid in [first, last), in cents."""
    paid: Counter[str] = Counter()
    for row in log:
        if row["type"] in PAID and first <= datetime.fromisoformat(row["at"]) < last:
            paid[row["account"]] += round(100 * float(row["price"]))
    return paid


def test_every_row_and_cent_of_the_log_is_an_event(folder: Path, log: Rows) -> None:
    quality = read_json(folder / "data" / "quality.json")
    kinds = Counter(row["type"] for row in log)
    contacts = rows_of(folder / "contacts.csv")
    assert quality["events_by_kind"] == {
        "purchase": kinds["start"],
        "renewal": kinds["renewal"],
        "refund": kinds["refund"],
        "cancellation": kinds["cancel"],
        "trial": kinds["trial"],
        "support": len(contacts),
    }
    assert quality["rows_dropped"] == {}
    kept = quality["account"]["kept"]
    everything = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
    assert kept["purchases"] == pytest.approx(paid_between(log, *everything).total() / 100)
    taken_back = sum(float(row["price"]) for row in log if row["type"] == "refund")
    assert kept["refunds"] == pytest.approx(-taken_back)
    assert quality["refunds"]["matched"] == kinds["refund"]
    assert quality["unknown_to_catalogue"]["items"] == 0


def test_targets_and_the_cost_of_service_follow_from_the_exports(folder: Path, log: Rows) -> None:
    metrics = read_json(folder / "arena" / "metrics.json")
    cutoff = datetime.fromisoformat(metrics["cutoff"]).replace(tzinfo=UTC)
    known = paid_between(log, datetime(2000, 1, 1, tzinfo=UTC), cutoff)
    spent = paid_between(log, cutoff, cutoff + timedelta(days=metrics["horizon_days"]))
    predictions = pl.read_parquet(folder / "arena" / "predictions.parquet")
    champion = predictions.filter(pl.col("model") == metrics["champion"])
    assert metrics["num_customers"] == len(known)
    for account, actual in champion.select("customer_id", "actual").iter_rows():
        assert actual == pytest.approx(spent[account] / 100), account
    days, minutes = days_and_minutes(folder, log, cutoff, known)
    assert metrics["costs"]["service"]["rate"] == pytest.approx(0.75 * minutes / days)


def days_and_minutes(
    folder: Path, log: Rows, cutoff: datetime, known: Counter[str]
) -> tuple[float, float]:
    """Of accounts `known` at the cutoff: days since the first event, and minutes of help before it."""
    first: dict[str, datetime] = {}
    minutes = 0.0
    contacts = rows_of(folder / "contacts.csv")
    of_help = [(row["account"], row["opened_at"], float(row["minutes"])) for row in contacts]
    of_log = [(row["account"], row["at"], 0.0) for row in log]
    for account, at, helped in [*of_help, *of_log]:
        instant = datetime.fromisoformat(at)
        if account in known and instant < cutoff:
            first[account] = min(first.get(account, instant), instant)
            minutes += helped
    return sum((cutoff - instant).total_seconds() for instant in first.values()) / 86_400, minutes


def test_verdict_is_a_model_whose_total_is_right_and_who_knows_who_leaves(folder: Path) -> None:
    metrics = read_json(folder / "arena" / "metrics.json")
    champion = metrics["models"][metrics["champion"]]
    for name in ("persistence", "bgnbd_gg"):
        assert champion["rmse"] < 0.6 * metrics["models"][name]["rmse"]
    assert 0.9 < champion["bias"] < 1.1
    churn = metrics["churn"]
    assert churn["models"][churn["model"]]["auroc"] > 0.9
    page = (folder / "arena" / "report.html").read_text()
    assert "<script" not in page + (folder / "data" / "quality.html").read_text()


def test_scores_add_up_for_every_account(folder: Path, log: Rows) -> None:
    scores = pl.read_parquet(folder / "scores" / "scores.parquet")
    seen = {row["account"] for row in log}
    wrote = {row["account"] for row in rows_of(folder / "contacts.csv")}
    assert set(scores["customer_id"]) == seen | wrote
    parts = ("refunds", "goods_cost", "service_cost", "marketing_cost", "discounting")
    rest = scores["revenue"] - sum(scores[name] for name in parts)
    assert rest.to_list() == pytest.approx(scores["clv"].to_list(), rel=1e-6, abs=1e-6)
    assert rest.sum() != 0.0


def test_campaign_list_holds_who_is_valuable_and_runs_nothing(folder: Path, tmp_path: Path) -> None:
    config = AudienceConfig.load(CONFIGS / "subscriptions_audience.yaml")
    found = {"scores": folder / "scores", "output": tmp_path / "stay.csv"}
    audience(config.model_copy(update=found))
    chosen = pl.read_parquet(tmp_path / "stay.parquet")
    assert set(chosen["segment"]) == {"top", "high"} and "lapsed" not in chosen["stage"]
    assert chosen["churn_probability"].is_sorted(descending=True)
    everybody = {"where": "true", "limit": None}
    audience(config.model_copy(update=found | everybody))
    with (tmp_path / "stay.csv").open(newline="") as file:
        ids = {row["customer_id"] for row in csv.DictReader(file)}
    assert ids == {*ACCOUNTS, f"'{FORMULA}"} - {FORMULA}


def test_exports_without_contacts_and_plans_are_enough(folder: Path, tmp_path: Path) -> None:
    recipe = CONFIGS / "subscriptions_ingest.yaml"
    paths = [
        "sources.1=null",
        "items=null",
        f"sources.0.path={folder / 'log.csv'}",
        f"output={tmp_path / 'data'}",
    ]
    ingest(IngestConfig.load(recipe, paths))
    kinds = read_json(tmp_path / "data" / "quality.json")["events_by_kind"]
    whole = read_json(folder / "data" / "quality.json")["events_by_kind"]
    assert kinds == {name: number for name, number in whole.items() if name != "support"}
