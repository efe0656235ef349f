"""When a release says that it was made: a fixed time, so that two builds of it are the same bytes."""

from __future__ import annotations

from datetime import UTC, datetime

from pocketrec.errors import UsageError

SOURCE_DATE_EPOCH = "SOURCE_DATE_EPOCH"  # https://reproducible-builds.org/specs/source-date-epoch/
_LAST = 253402300799  # the end of the year 9999


def created(epoch: str | None) -> str:
    """The time in RFC 3339: the start of 1970, or what SOURCE_DATE_EPOCH says.

    Args:
        epoch: the variable's value, in seconds since 1970; None where it is not set.

    Raises:
        UsageError: it is no such number.
    """
    if epoch is not None and not (epoch.isascii() and epoch.isdigit() and int(epoch[:20]) <= _LAST):
        raise UsageError(
            f"{SOURCE_DATE_EPOCH} is {epoch[:40]!r}; expected seconds since 1970, such as 1767225600"
        )
    return datetime.fromtimestamp(int(epoch or 0), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
