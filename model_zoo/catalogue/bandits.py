"""Bandits: which offer to whom, and what is learned from it."""

from __future__ import annotations

from pocketrec.model_zoo.family import Family, Reference, trained_by

COUNTED = (
    Reference(metric="hr@10", value=0.1579, source="the store's click rates"),
    Reference(metric="ndcg@10", value=0.0712, source="the store's click rates"),
)
FAMILIES = (
    Family(
        name="linucb",
        area="bandits",
        roles=("decide",),
        summary="the item of the highest upper confidence bound, linear in the person",
        paper="Li, Chu, Langford and Schapire, 2010, A Contextual-Bandit Approach (LinUCB)",
        train=trained_by("linucb"),
        data="open-bandit",
        beside=COUNTED,
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
        beside=COUNTED,
        floors=(("hr@10", 0.18), ("ndcg@10", 0.085)),
    ),
)
