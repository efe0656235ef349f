"""Generative retrieval: items spelled out, code by code."""

from __future__ import annotations

from pocketrec.model_zoo.family import Family, trained_by

FAMILIES = (
    Family(
        name="tiger",
        area="generative retrieval",
        roles=("generate",),
        summary="the next item, spelled in semantic ids; beats popularity, not transition counts",
        paper="Rajput et al., 2023, Recommender Systems with Generative Retrieval",
        train=trained_by("tiger"),
        floors=(("hr@10", 0.12), ("ndcg@10", 0.057)),
        measured_by="pocketrec.model_zoo.families.tiger:quality",
    ),
)
