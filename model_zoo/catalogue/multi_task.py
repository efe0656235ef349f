"""Multi-task: several answers from one model."""

from __future__ import annotations

from pocketrec.model_zoo.family import DEEPFM, Family, trained_by

FAMILIES = (
    Family(
        name="mmoe",
        area="multi-task",
        roles=("rank",),
        summary="whether somebody likes and whether he loves an item, from experts that both share",
        paper="Ma et al., 2018, Modeling Task Relationships in Multi-task Learning with MMoE",
        train=trained_by("mmoe"),
        floors=(("auc", 0.785), ("auc of loved", 0.805)),
        references=(DEEPFM,),
    ),
    Family(
        name="ple",
        area="multi-task",
        roles=("rank",),
        summary="whether somebody likes and whether he loves an item, from own and shared experts",
        paper="Tang et al., 2020, Progressive Layered Extraction",
        train=trained_by("ple"),
        floors=(("auc", 0.785), ("auc of loved", 0.805)),
        references=(DEEPFM,),
    ),
)
