"""Page generation: a page in order."""

from __future__ import annotations

from pocketrec.model_zoo.family import Family, Reference, trained_by

_GIVEN = (
    Reference(metric="hr@10", value=0.5516, source="the order of transition counts"),
    Reference(metric="ndcg@10", value=0.2951, source="the order of transition counts"),
)

FAMILIES = (
    Family(
        name="prm",
        area="page generation",
        roles=("arrange",),
        summary="a list in a better order, by a transformer over all of it",
        paper="Pei et al., 2019, Personalized Re-ranking for Recommendation",
        train=trained_by("prm"),
        floors=(("hr@10", 0.56), ("ndcg@10", 0.298)),
        beside=_GIVEN,
    ),
    Family(
        name="slate",
        area="page generation",
        roles=("arrange",),
        summary="a page of a list that does not repeat itself, by a determinantal point process",
        paper="Chen, Zhang and Zhou, 2018, Fast Greedy MAP Inference for Determinantal Point Process",
        train=trained_by("slate"),
        floors=(("hr@10", 0.565), ("ndcg@10", 0.303)),
        beside=_GIVEN,
    ),
)
