"""Sequence: what comes next after a history."""

from __future__ import annotations

from pocketrec.model_zoo.family import Family, trained_by

FAMILIES = (
    Family(
        name="sasrec",
        area="sequence",
        roles=("recommend",),
        summary="next item from a causal transformer over the history",
        paper="Kang and McAuley, 2018, Self-Attentive Sequential Recommendation",
        train=trained_by("sasrec"),
        floors=(("hr@10", 0.18), ("ndcg@10", 0.092)),
    ),
)
