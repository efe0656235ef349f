"""Creatives: which picture for whom."""

from __future__ import annotations

from pocketrec.model_zoo.family import Family, Reference, trained_by

FAMILIES = (
    Family(
        name="creatives",
        area="creatives",
        roles=("rank",),
        summary="which poster of a film for whom, by the picture's vector; pictures and clicks are synthetic",
        paper="Wang et al., 2021, A Hybrid Bandit Model with Visual Priors for Creative Ranking",
        train=trained_by("creatives"),
        floors=(("auc", 0.635),),
        beside=(Reference(metric="auc", value=0.562, source="each poster's own rate of clicks"),),
    ),
)
