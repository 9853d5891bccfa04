"""Money of both signs where one is expected."""

import pytest

from tests.training.ingest.test_rules import SOURCE, batch
from training.ingest.quality.read_counts import ReadCounts
from training.ingest.rules import MissingRules, checked_rows


def test_costs_of_both_signs_are_refused_also_in_another_batch() -> None:
    counts = ReadCounts()
    checked_rows(batch(amount=[100.0], cost=[60.0]), SOURCE, MissingRules(), counts)
    given = batch(amount=[-100.0], kind=["refund"], cost=[-30.0])
    with pytest.raises(ValueError, match="cost is -30.0 in .*, but 60.0 in .*: write ABS.cost."):
        checked_rows(given, SOURCE, MissingRules(), counts)


def test_refunds_of_both_signs_are_told_once(caplog: pytest.LogCaptureFixture) -> None:
    counts = ReadCounts()
    given = batch(amount=[50.0, 5.0, -5.0], kind=["purchase", "refund", "refund"])
    rows = checked_rows(given, SOURCE, MissingRules(), counts)
    checked_rows(given, SOURCE, MissingRules(), counts)
    assert rows["amount"].to_list() == [50.0, -5.0, -5.0]
    (told,) = caplog.messages
    assert "amount of a refund is -5.0 in " in told and "5.0 in lines.csv, row 2" in told


def test_discounts_of_one_sign_are_not_told(caplog: pytest.LogCaptureFixture) -> None:
    given = batch(amount=[50.0, 5.0], discount=[-1.0, 0.0])
    checked_rows(given, SOURCE, MissingRules(), ReadCounts())
    assert not caplog.messages
