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
    Family(
        name="markov",
        area="retrieval",
        roles=("recommend",),
        summary="what was chosen right after the last items, counted",
        paper="Markov, 1906, chains of first order; the counts that a model of the next item should beat",
        train=trained_by("markov"),
        floors=(("hr@10", 0.17), ("ndcg@10", 0.094)),
        committed=False,
    ),
)
