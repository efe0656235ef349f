"""What to do about refusals, where two targets together know more than each alone."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from pocketrec.errors import ConversionError, Refused

ANOTHER_TARGET = "use another target"


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
    if not isinstance(error, Refused) or ANOTHER_TARGET not in error.remedy:
        return error
    other = error.remedy.replace(f"{ANOTHER_TARGET}, or ", "").replace(ANOTHER_TARGET, "")
    settled = Refused(
        op=error.op,
        where=error.where,
        reason=f"{error.reason} (and no other target computes it)",
        remedy=other or "report it with this module",
    )
    settled.__cause__ = error.__cause__
    return settled
