"""Creatives: which picture for whom."""

from __future__ import annotations

from pocketrec.model_zoo.family import Family, Reference, trained_by

FAMILIES = (
    Family(
        name="creatives",
        area="creatives",
        roles=("rank",),
        summary="which picture of a product for whom, by vector and brand; pictures and clicks are synthetic",
        paper="Wang et al., 2021, A Hybrid Bandit Model with Visual Priors for Creative Ranking",
        train=trained_by("creatives"),
        data="amazon-office",
        floors=(("auc", 0.715),),
        beside=(Reference(metric="auc", value=0.677, source="each picture's own rate of clicks"),),
    ),
)
