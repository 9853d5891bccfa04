"""Instants as the log has them: microseconds since 1970."""

from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


def microseconds(at: datetime) -> int:
    """An instant as a number."""
    return (at - EPOCH) // MICROSECOND


def instant(number: int) -> datetime:
    """A number as an instant."""
    return EPOCH + number * MICROSECOND
