"""Times as numbers: the microseconds since 1970 in UTC, which is as fine as PostgreSQL keeps them."""

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1)
_MICROSECOND = timedelta(microseconds=1)


def to_microseconds(time: datetime) -> int:
    """The number of a time in UTC that has no zone, as statements answer it."""
    return (time - _EPOCH) // _MICROSECOND


def from_microseconds(count: int) -> datetime:
    """The time in UTC of a number; raises OverflowError beyond the year 9999."""
    return (_EPOCH + count * _MICROSECOND).replace(tzinfo=UTC)
