"""Columns that tell the zone of times, which the recipe does not use."""

from pathlib import Path

import pytest

from tests.training.ingest.recipes import recipe, run

COLUMNS = {"customer_id": "c", "occurred_at": "t", "amount": "a"}
JOINED = {"sql": "t || ' ' || TimeZone"}


@pytest.mark.parametrize(
    ("header", "time", "zones", "changes", "is_told"),
    [
        ("TimeZone", "2024-01-15 10:30", ("PST", "PDT"), {}, True),  # of PayPal
        ("Time Zone", "2024-01-15 10:30", ("Eastern Time", "Eastern Time"), {}, True),  # of Square
        ("tz", "2024-01-15 10:30", ("UTC", "UTC"), {}, False),
        ("TimeZone", "2024-01-15 10:30", ("PST", "PDT"), {"timezone": "America/Los_Angeles"}, False),
        ("tz", "2024-01-15T10:30:00Z", ("Asia/Tokyo", "Europe/Paris"), {}, False),
        ("amtz", "2024-01-15 10:30", ("PST", "PDT"), {}, False),
    ],
)  # fmt: skip
def test_a_zone_that_the_recipe_does_not_read_is_told(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    header: str,
    time: str,
    zones: tuple[str, str],
    changes: dict[str, object],
    is_told: bool,
) -> None:
    path = tmp_path / "x.csv"
    lines = [f"{number},{time},5,{zone}" for number, zone in enumerate(zones)]
    path.write_text("\n".join([f"c,t,a,{header}", *lines]) + "\n")
    run(recipe(tmp_path / "data", {"path": str(path), "columns": COLUMNS, **changes}))
    assert (f"column {header!r} says" in caplog.text) == is_told


def test_a_zone_that_is_joined_to_the_time_is_not_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "x.csv"
    path.write_text("c,t,a,TimeZone\n1,2024-01-15 10:30,5,PST\n")
    columns = COLUMNS | {"occurred_at": JOINED}
    zone = {"date_format": "%Y-%m-%d %H:%M %Z", "timezone": "America/Los_Angeles"}
    events, _ = run(recipe(tmp_path / "data", {"path": str(path), "columns": columns, **zone}))
    assert f"{events['occurred_at'][0]:%H:%M}" == "18:30"
    assert "says" not in caplog.text
