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
    Family(
        name="pmf",
        area="probabilistic",
        roles=("predict",),
        summary="a rating, its variance, and the probability of a high one, from factors that are Gaussians",
        paper="Salakhutdinov and Mnih, 2008, PMF; Lim and Teh, 2007, Variational Bayesian Approach",
        train=trained_by("pmf"),
        floors=(("auc", 0.79),),
    ),
)
