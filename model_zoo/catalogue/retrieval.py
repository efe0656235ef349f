"""Retrieval: what may be relevant, from everything."""

from __future__ import annotations

from pocketrec.model_zoo.family import Family, trained_by

FAMILIES = (
    Family(
        name="two-tower",
        area="retrieval",
        roles=("recommend", "embed"),
        summary="retrieval with a user tower and an item tower",
        paper="Yi et al., 2019, Sampling-Bias-Corrected Neural Modeling",
        train=trained_by("two_tower"),
        floors=(("ndcg@10", 0.055),),
    ),
)
