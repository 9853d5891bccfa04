"""Columns that tell the zone of times, which the recipe does not use."""

from pathlib import Path

import pytest

from tests.training.ingest.recipes import recipe, run

COLUMNS = {"customer_id": "c", "occurred_at": "t", "amount": "a"}
LOCAL = "2024-01-15 10:30"  # says no zone
JOINED = {"sql": "t || ' ' || TimeZone"}


@pytest.mark.parametrize(
    ("header", "time", "zones", "timezone", "is_told"),
    [
        ("TimeZone", LOCAL, ("PST", "PDT"), "UTC", True),  # of PayPal
        ("Time Zone", LOCAL, ("Eastern Time", "Eastern Time"), "UTC", True),  # of Square
        ("tz", LOCAL, ("UTC", "UTC"), "UTC", False),
        ("TimeZone", LOCAL, ("PST", "PDT"), "America/Los_Angeles", False),
        ("tz", "2024-01-15T10:30:00Z", ("Asia/Tokyo", "Europe/Paris"), "UTC", False),
        ("amtz", LOCAL, ("PST", "PDT"), "UTC", False),
    ],
)
def test_a_zone_that_the_recipe_does_not_read_is_told(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    header: str,
    time: str,
    zones: tuple[str, str],
    timezone: str,
    is_told: bool,
) -> None:
    path = tmp_path / "x.csv"
    lines = [f"{number},{time},5,{zone}" for number, zone in enumerate(zones)]
    path.write_text("\n".join([f"c,t,a,{header}", *lines]) + "\n")
    source = {"path": str(path), "columns": COLUMNS, "timezone": timezone}
    run(recipe(tmp_path / "data", source))
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
