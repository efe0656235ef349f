"""Ranking: how well one item fits one person."""

from __future__ import annotations

from pocketrec.model_zoo.family import DEEPFM, Family, trained_by

FAMILIES = (
    Family(
        name="dlrm",
        area="ranking",
        roles=("predict",),
        summary="probability of a high rating from ids and context",
        paper="Naumov et al., 2019, Deep Learning Recommendation Model",
        train=trained_by("dlrm"),
        floors=(("auc", 0.78),),
        references=(DEEPFM,),
    ),
)
