"""Whether units came to the variants in the shares that they were assigned with."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from pocketrec.errors import UsageError
from pocketrec.validate.experiments.assign import check_weights

LEAST = 5.0  # units that a variant is expected to have, below which chi-squared is no approximation (Cochran)


@dataclass(frozen=True, slots=True, kw_only=True)
class RatioTest:
    """The sample-ratio test of an experiment.

    Attributes:
        observed: units of each variant.
        expected: how many it should have had.
        statistic: sum of (observed - expected)² / expected.
        degrees: of freedom, variants less 1.
        p_value: how often chance alone gives such a statistic or a larger one.
        threshold: below which the p-value is a mismatch.
        farthest: the variant whose term of the statistic is largest.
    """

    observed: Mapping[str, int]
    expected: Mapping[str, float]
    statistic: float
    degrees: int
    p_value: float
    threshold: float
    farthest: str

    @property
    def passed(self) -> bool:
        """True where the counts are no surprise."""
        return self.p_value >= self.threshold


def check_ratio(
    observed: Mapping[str, int], shares: Mapping[str, float], *, threshold: float = 0.0005
) -> RatioTest:
    """Pearson's chi-squared test of the counts against the shares.

    A mismatch says that the experiment's data are not those of its assignment (lost, doubled or filtered
    units), and that none of its results holds: Fabijan et al., "Diagnosing sample ratio mismatch in online
    controlled experiments", 2019, whose threshold is the default.

    Args:
        observed: distinct units of each variant.
        shares: variant to weight; they need not add up to 1.
        threshold: of the p-value.

    Raises:
        UsageError: the variants differ, a count or a weight is none, or too few units are there to tell.
    """
    _check(observed, shares, threshold)
    total, weights = sum(observed.values()), math.fsum(shares.values())
    expected = {name: total * weight / weights for name, weight in shares.items()}
    poor = min(expected, key=lambda name: expected[name])
    if expected[poor] < LEAST:
        raise UsageError(
            f"variant {poor!r}: {expected[poor]:.3g} of {total} units are expected; "
            f"the test needs {LEAST:g} or more of each: count again when there are more"
        )
    terms = {name: (observed[name] - mean) ** 2 / mean for name, mean in expected.items()}
    statistic = math.fsum(terms.values())
    return RatioTest(
        observed=dict(observed),
        expected=expected,
        statistic=statistic,
        degrees=len(terms) - 1,
        p_value=_chi2_above(statistic, len(terms) - 1),
        threshold=threshold,
        farthest=max(terms, key=lambda name: terms[name]),
    )


def _check(observed: Mapping[str, int], shares: Mapping[str, float], threshold: float) -> None:
    check_weights(shares)
    if observed.keys() != shares.keys():
        odd = sorted(observed.keys() ^ shares.keys())[0]
        raise UsageError(f"variant {odd!r} has a count or a weight, not both; expected both of each variant")
    for name, count in observed.items():
        if count < 0:
            raise UsageError(f"variant {name!r}: {count} units; expected 0 or more")
    if not 0 < threshold < 1:
        raise UsageError(f"the threshold is {threshold}; expected a p-value between 0 and 1, such as 0.0005")


def _chi2_above(statistic: float, degrees: int) -> float:
    """The chance that a chi-squared variable exceeds the statistic."""
    from scipy.special import chdtrc

    return float(chdtrc(degrees, statistic))
