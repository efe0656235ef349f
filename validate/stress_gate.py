"""The gate on stress: no case is another than the reference's, and some case is the same."""

from __future__ import annotations

from collections.abc import Sequence

from pocketrec.report import StressCase
from pocketrec.validate.quality_gates import Status

_SHOWN = 3  # cases in a message; the evidence has all


def stress_verdict(cases: Sequence[StressCase]) -> tuple[Status, str]:
    """Whether every case that was asked gives the reference's answer or refusal, and the worst in words."""
    wrong = sorted((each for each in cases if each.wrong), key=lambda each: -each.excess)
    if wrong:
        lines = [f"{each}: {each.reason}" for each in wrong[:_SHOWN]]
        more = f"; and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
        return "failed", f"{len(wrong)} of {len(cases)} cases: {'; '.join(lines)}{more}"
    same = [each for each in cases if each.outcome == "same"]
    if not same:
        return "failed", "no case was compared"
    refused, left_out = (sum(each.outcome == one for each in cases) for one in ("refused", "left_out"))
    worst = max(same, key=lambda each: each.excess)
    counts = [f"{len(same)} cases give the reference's answer"]
    counts += [f"{refused} its or a stated refusal"] if refused else []
    counts += [f"{left_out} were left out"] if left_out else []
    return "passed", f"{', '.join(counts)}; the furthest is {worst.excess:.2g} of what is allowed ({worst})"
