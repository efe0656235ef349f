"""What to do about refusals, where two targets together know more than each alone."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from pocketrec.errors import ConversionError, Refused

REPORT = "report it with this module"


def without_circles(
    refused: Mapping[str, ConversionError], delivered: Collection[str], known: Collection[str]
) -> dict[str, ConversionError]:
    """The refusals, none of which recommends a target that refuses, too.

    Args:
        refused: target to its refusal.
        delivered: the targets that there are artifacts for.
        known: all targets that there are.
    """
    left = [each for each in known if each not in refused]
    return {target: error if left or delivered else _settled(error) for target, error in refused.items()}


def _settled(error: ConversionError) -> ConversionError:
    if not isinstance(error, Refused) or not error.elsewhere:
        return error
    settled = Refused(
        op=error.op,
        where=error.where,
        reason=f"{error.reason} (and no other target computes it)",
        remedy=error.remedy or REPORT,
    )
    settled.__cause__ = error.__cause__
    return settled
