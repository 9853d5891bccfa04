"""The recipes of a bank, from a ledger alone: this bank does not export its contacts."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from tests.integration.recipes.bank import write_bank
from tests.integration.recipes.files import read_json, rows_of
from tests.integration.recipes.sets import CONFIGS, beside, judge
from training.score.job import score
from training.score.recipe import ScoreConfig

pytestmark = pytest.mark.integration
ACCOUNTS = [f"{number:06d}" for number in range(500)]
Rows = list[dict[str, str]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All that the recipes make of a ledger of 500 accounts."""
    home = tmp_path_factory.mktemp("set")
    with beside(home, "bank") as exports:
        write_bank(exports, ACCOUNTS, 1)
        judge("bank", "num_resamples=20", absent=("sources.1",))
        score(ScoreConfig.load(CONFIGS / "bank_score.yaml"))
    return exports


@pytest.fixture(scope="module")
def ledger(folder: Path) -> Rows:
    return rows_of(folder / "ledger.csv", ";")


def number(text: str) -> Decimal:
    return Decimal(text.replace(".", "").replace(",", "."))


def earned(row: dict[str, str]) -> Decimal | None:
    """What a row brings the bank, where it does: a margin, a fee, interest."""
    match row["type"]:
        case "posting":
            return number(row["margin"]) if number(row["margin"]) > 0 else None
        case "monthly_fee" | "interest":
            return number(row["amount"])
    return None


def day_of(row: dict[str, str]) -> datetime:
    return datetime.strptime(row["booked_on"], "%d.%m.%Y").replace(tzinfo=UTC)


def test_money_in_is_margins_fees_and_interest_and_losses_are_service(
    folder: Path, ledger: Rows
) -> None:
    quality = read_json(folder / "data" / "quality.json")
    types = Counter(row["type"] for row in ledger)
    margins = [number(row["margin"]) for row in ledger if row["type"] == "posting"]
    assert quality["rows_dropped"] == {
        "filter:internal_transfer": types["internal"],
        "filter:no_margin": margins.count(Decimal(0)),
    }
    assert quality["events_by_kind"] == {
        "purchase": sum(margin > 0 for margin in margins) + types["interest"],
        "renewal": types["monthly_fee"],
        "refund": types["fee_refund"],
        "cancellation": types["closing"],
        "support": sum(margin < 0 for margin in margins),
    }
    kept = quality["account"]["kept"]
    assert kept["purchases"] == pytest.approx(float(sum(earned(row) or 0 for row in ledger)))
    given_back = sum(number(row["amount"]) for row in ledger if row["type"] == "fee_refund")
    assert kept["refunds"] == pytest.approx(-float(given_back))
    losses = pl.scan_parquet(folder / "data" / "events" / "*.parquet").select(pl.sum("cost"))
    assert losses.collect().item() == pytest.approx(-float(sum(m for m in margins if m < 0)))


def test_targets_follow_from_the_ledger_and_ids_keep_their_zeros(
    folder: Path, ledger: Rows
) -> None:
    metrics = read_json(folder / "arena" / "metrics.json")
    cutoff = datetime.fromisoformat(metrics["cutoff"]).replace(tzinfo=UTC)
    end = cutoff + timedelta(days=metrics["horizon_days"])
    brought = [(row["account_id"], day_of(row), earned(row)) for row in ledger]
    known = {account for account, day, money in brought if money is not None and day < cutoff}
    spent: Counter[str] = Counter()
    for account, day, money in brought:
        if cutoff <= day < end:
            spent[account] += int(100 * (money or 0))
    predictions = pl.read_parquet(folder / "arena" / "predictions.parquet")
    champion = predictions.filter(pl.col("model") == metrics["champion"])
    assert set(champion["customer_id"]) == known
    for account, actual in champion.select("customer_id", "actual").iter_rows():
        assert actual == pytest.approx(spent[account] / 100, abs=1e-6), account


def test_verdict_is_a_model_that_is_right_in_total_and_beats_purchase_models(folder: Path) -> None:
    metrics = read_json(folder / "arena" / "metrics.json")
    champion = metrics["models"][metrics["champion"]]
    assert champion["rmse"] < 0.8 * metrics["models"]["bgnbd_gg"]["rmse"]
    assert 0.85 < champion["bias"] < 1.15
    assert metrics["costs"]["goods"] == {
        "rate": 0.0,
        "is_learned": False,
        "weight": 1.0,
    }


def test_everybody_with_a_row_that_counts_has_a_score(folder: Path, ledger: Rows) -> None:
    scores = pl.read_parquet(folder / "scores" / "scores.parquet")
    counted = [row for row in ledger if row["type"] != "internal"]
    accounts = {row["account_id"] for row in counted if row["margin"] != "0,00"}
    assert set(scores["customer_id"]) == accounts
    periods = read_json(folder / "arena" / "artifact" / "manifest.json")["clv"]
    assert periods["num_periods"] == 36
