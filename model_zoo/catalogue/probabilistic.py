"""Probabilistic: how sure an answer is."""

from __future__ import annotations

from pocketrec.model_zoo.family import Family, trained_by

FAMILIES = (
    Family(
        name="propensity",
        area="probabilistic",
        roles=("predict",),
        summary="probability of a click that stays one after compression",
        paper="Platt, 1999, Probabilistic Outputs; Rendle, 2010, Factorization Machines",
        train=trained_by("propensity"),
        data="open-bandit",
        floors=(("auc", 0.53),),
    ),
)
