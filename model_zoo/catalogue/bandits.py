"""Bandits: which offer to whom, and what is learned from it."""

from __future__ import annotations

from pocketrec.model_zoo.family import Family, trained_by

FAMILIES = (
    Family(
        name="linucb",
        area="bandits",
        roles=("decide",),
        summary="the item of the highest upper confidence bound, linear in the person",
        paper="Li, Chu, Langford and Schapire, 2010, A Contextual-Bandit Approach (LinUCB)",
        train=trained_by("linucb"),
        data="open-bandit",
        floors=(("hr@10", 0.18), ("ndcg@10", 0.08)),
    ),
    Family(
        name="thompson",
        area="bandits",
        roles=("decide",),
        summary="neural-linear Thompson sampling, with the chance of each item",
        paper="Riquelme, Tucker and Snoek, 2018, Deep Bayesian Bandits Showdown",
        train=trained_by("thompson"),
        data="open-bandit",
        floors=(("hr@10", 0.18), ("ndcg@10", 0.085)),
    ),
)
