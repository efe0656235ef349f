"""Ranking: how well one item fits one person."""

from __future__ import annotations

from pocketrec.model_zoo.family import DEEPFM, Family, trained_by

FAMILIES = (
    Family(
        name="dlrm",
        area="ranking",
        roles=("rank",),
        summary="probability of a high rating from ids and context",
        paper="Naumov et al., 2019, Deep Learning Recommendation Model",
        train=trained_by("dlrm"),
        floors=(("auc", 0.78),),
        references=(DEEPFM,),
    ),
    Family(
        name="deepfm",
        area="ranking",
        roles=("rank",),
        summary="a factorization machine and a deep net over the same vectors",
        paper="Guo et al., 2017, DeepFM",
        train=trained_by("deepfm"),
        floors=(("auc", 0.79),),
        references=(DEEPFM,),
    ),
    Family(
        name="dcnv2",
        area="ranking",
        roles=("rank",),
        summary="products of features layer by layer, beside a deep net",
        paper="Wang et al., 2021, DCN V2",
        train=trained_by("dcnv2"),
        floors=(("auc", 0.785),),
        references=(DEEPFM,),
    ),
    Family(
        name="din",
        area="ranking",
        roles=("rank", "arrange"),
        summary="liked items weighed by each that is asked about, one or a page; DeepFM ranks films better",
        paper="Zhou et al., 2018, Deep Interest Network",
        train=trained_by("din"),
        floors=(("auc", 0.78), ("ndcg@10 of page", 0.335)),
        references=(DEEPFM,),
    ),
    Family(
        name="autoint",
        area="ranking",
        roles=("rank",),
        summary="features that attend to each other",
        paper="Song et al., 2019, AutoInt",
        train=trained_by("autoint"),
        floors=(("auc", 0.785),),
        references=(DEEPFM,),
    ),
    Family(
        name="finalmlp",
        area="ranking",
        roles=("rank",),
        summary="two nets over gated features, and the products of both",
        paper="Mao et al., 2023, FinalMLP",
        train=trained_by("finalmlp"),
        floors=(("auc", 0.785),),
        references=(DEEPFM,),
    ),
)
