"""Churn: what became of a user's list from one model to another.

    churn(u) = 1 - overlap(u)
    changed(u) = 1 where some place holds another id
    first(u) = 1 where the first place does

Order counts for the second and third alone. -1 stands for nothing. Sources: Milani Fard et al., Launch and
iterate: reducing prediction churn, NIPS 2016, for the notion; `top_k_overlap` for the overlap.
"""

from __future__ import annotations

import numpy as np

from pocketrec.validate.measure.metrics.ranks import Doubles, Lists
from pocketrec.validate.measure.metrics.top_k_overlap import top_k_overlap


def list_churn(before: Lists, after: Lists) -> Doubles:
    """The share of each list that is new, float64 `[rows]`."""
    return 1 - top_k_overlap(before, after)


def list_changed(before: Lists, after: Lists) -> Doubles:
    """1 where a place of the list holds another id, else 0, float64 `[rows]`."""
    return np.where(np.any(before != after, axis=1), 1.0, 0.0)


def first_changed(before: Lists, after: Lists) -> Doubles:
    """1 where the first place holds another id, else 0, float64 `[rows]`."""
    return np.where(before[:, 0] != after[:, 0], 1.0, 0.0)
