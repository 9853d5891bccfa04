"""Ways to write times, each with what the recipe says of it."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pyarrow as pa

from benchmarks.harness.generated_exports.events import DAY

ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Sydney")
MICROSECOND = timedelta(microseconds=1)
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Write = Callable[[datetime], object]


@dataclass(frozen=True)
class DateStyle:
    """`write` turns an instant into a cell; `sql` has {name} for the column, where the recipe must compute."""

    write: Write
    resolution: timedelta
    zone: str = "UTC"
    date_format: str | None = None
    sql: str | None = None
    type: pa.DataType | None = None  # in Parquet
    is_century_told: bool = True

    def recipe(self) -> dict[str, object]:
        """The keys of the table; those with their defaults are left out."""
        keys = {"date_format": self.date_format, "timezone": self.zone}
        defaults = {"date_format": None, "timezone": "UTC"}
        return {name: value for name, value in keys.items() if value != defaults[name]}


def local(zone: str, pattern: str) -> Write:
    """The time of day in a zone, as text."""
    return lambda at: at.astimezone(ZoneInfo(zone)).strftime(pattern)


def iso(zone: str, timespec: str, separator: str) -> Write:
    """ISO 8601 with the offset of a zone."""
    return lambda at: at.astimezone(ZoneInfo(zone)).isoformat(separator, timespec)


def ticks(unit: timedelta) -> Write:
    """Whole units since 1970."""
    return lambda at: (at - EPOCH) // unit


def unpadded(zone: str) -> Write:
    """Such as 1/12/2010 8:26."""

    def write(at: datetime) -> str:
        there = at.astimezone(ZoneInfo(zone))
        return f"{there.day}/{there.month}/{there.year} {there.hour}:{there.minute:02d}"

    return write


def text_style(draw: random.Random) -> DateStyle:
    """As text, in CSV and JSON."""
    zone = draw.choice(ZONES)
    formats = {
        "%d.%m.%Y": DAY,
        "%m/%d/%Y": DAY,
        "%Y%m%d": DAY,
        "%d.%m.%Y %H:%M": MINUTE,
        "%d/%m/%Y %H:%M:%S": SECOND,
        "%m/%d/%Y %I:%M %p": MINUTE,
        "%d-%b-%Y %H:%M:%S": SECOND,
        "%d/%m/%y %H:%M": MINUTE,
        "%Y%m%dT%H%M%S": SECOND,
        "%Y-%m-%d %H:%M:%S.%f": MICROSECOND,
    }
    pattern, resolution = draw.choice(list(formats.items()))
    own = DateStyle(
        local("UTC" if resolution == DAY else zone, pattern),
        resolution,
        zone,
        pattern.replace(".%f", "%.f"),
        is_century_told="%y" not in pattern,
    )
    return draw.choice(
        (
            own,
            own,
            DateStyle(unpadded(zone), MINUTE, zone, "%d/%m/%Y %H:%M"),
            DateStyle(local(zone, "%Y-%m-%d %H:%M:%S"), SECOND, zone),
            DateStyle(local(zone, "%Y-%m-%dT%H:%M"), MINUTE, zone),
            DateStyle(local(zone, "%Y-%m-%dT%H:%M:%S.%f"), MICROSECOND, zone),
            DateStyle(local("UTC", "%Y-%m-%d"), DAY, zone),
            DateStyle(local("UTC", "%Y-%m-%dT%H:%M:%SZ"), SECOND, zone),
            DateStyle(
                iso(zone, "milliseconds", "T"), timedelta(milliseconds=1), draw.choice(ZONES)
            ),
            DateStyle(iso(zone, "seconds", " "), SECOND, draw.choice(ZONES)),
            DateStyle(_some_iso(draw, zone), SECOND, zone),
            *number_styles(),
        )
    )


def _some_iso(draw: random.Random, zone: str) -> Write:
    """Now one ISO form, now another, as where a program leaves out what is zero."""
    forms = (
        local("UTC", "%Y-%m-%dT%H:%M:%S.000Z"),
        local(zone, "%Y-%m-%d %H:%M:%S"),
        local(zone, "%Y-%m-%d %H:%M:%S.0"),
        iso(zone, "microseconds", " "),
        iso("Asia/Kolkata", "seconds", "T"),
    )
    return lambda at: draw.choice(forms)(at)


def number_styles() -> list[DateStyle]:
    """As numbers since 1970."""
    micro = pa.int64()
    return [
        DateStyle(ticks(SECOND), SECOND, date_format="epoch_s", type=pa.int64()),
        DateStyle(
            ticks(timedelta(milliseconds=1)),
            timedelta(milliseconds=1),
            date_format="epoch_ms",
            type=pa.int64(),
        ),
        DateStyle(
            ticks(MICROSECOND), MICROSECOND, date_format="epoch_ms", sql="{name} / 1000", type=micro
        ),
        DateStyle(
            ticks(MICROSECOND),
            MICROSECOND,
            date_format="epoch_s",
            sql="{name} / 1000000.0",
            type=micro,
        ),
        DateStyle(
            lambda at: (at - EPOCH) / SECOND,
            timedelta(milliseconds=1),
            date_format="epoch_s",
            type=pa.float64(),
        ),
    ]


def parquet_style(draw: random.Random) -> DateStyle:
    """As Parquet types."""
    zone = draw.choice(ZONES)
    unit, resolution = draw.choice(
        (("s", SECOND), ("ms", timedelta(milliseconds=1)), ("us", MICROSECOND), ("ns", MICROSECOND))
    )

    def naive(at: datetime) -> datetime:
        return at.astimezone(ZoneInfo(zone)).replace(tzinfo=None)

    def same(at: datetime) -> datetime:
        return at

    def day(at: datetime) -> date:
        return at.date()

    own_type = pa.timestamp(unit, draw.choice(ZONES))
    return draw.choice(
        (
            DateStyle(naive, resolution, zone, type=pa.timestamp(unit)),
            DateStyle(same, resolution, draw.choice(ZONES), type=own_type),
            DateStyle(day, DAY, zone, type=pa.date32()),
            DateStyle(lambda at: int(at.strftime("%Y%m%d")), DAY, zone, "%Y%m%d", type=pa.int32()),
            DateStyle(local(zone, "%Y-%m-%d %H:%M:%S"), SECOND, zone, type=pa.string()),
            *number_styles(),
        )
    )
