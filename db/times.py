"""Times as numbers: the microseconds since 1970 in UTC, which is as fine as PostgreSQL keeps them."""

from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1)
MICROSECOND = timedelta(microseconds=1)


def to_microseconds(time: datetime) -> int:
    """The number of a time in UTC that has no zone, as statements answer it."""
    return (time - EPOCH) // MICROSECOND


def from_microseconds(count: int) -> datetime:
    """The time in UTC of a number; raises OverflowError beyond the year 9999."""
    return (EPOCH + count * MICROSECOND).replace(tzinfo=UTC)
