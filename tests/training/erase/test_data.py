"""quality.json after an erasure: nobody who was erased is named in it."""

import json
import shutil
from pathlib import Path

import pytest

from lifecycle.erasure.tombstones import NOBODY
from tests.training.ingest.quality.test_heavy_customers import persons, till
from tests.training.ingest.recipes import log, recipe, run
from training.erase.data import clean_data
from training.erase.tables import Sweep


def test_a_giant_who_is_erased_is_named_nowhere(tmp_path: Path) -> None:
    lines = log(tmp_path / "x.csv", *persons(), *till("17841", per_day=3))
    source, target = tmp_path / "data", tmp_path / "target"
    _, before = run(recipe(source, lines, quality_html=True))
    assert any("customer '17841' has " in line for line in before["warnings"])
    shutil.copytree(source, target)
    clean_data(source, target, Sweep(NOBODY, ids={"17841"}))
    report = json.loads((target / "quality.json").read_text())
    assert report["heavy_customers"] == []
    kept = report["account"]["kept"]
    assert sum(report["events_by_kind"].values()) == report["rows_kept"] == kept["rows"]
    assert sum(report["customers_by_orders"].values()) == report["num_customers"]
    assert sum(report["lines_by_month"].values()) == report["events_by_kind"]["purchase"]
    assert sum(report["revenue_by_month"].values()) == pytest.approx(kept["purchases"])
    assert report["missing_values"] == dict.fromkeys(before["missing_values"], kept["rows"])
    assert "customer erased has " in " ".join(report["warnings"])
    for name in ("quality.json", "quality.html"):
        assert "17841" not in (target / name).read_text()
