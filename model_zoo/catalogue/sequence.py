"""Sequence: what comes next after a history."""

from __future__ import annotations

from pocketrec.model_zoo.family import RECBOLE, Family, Reference, trained_by

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
    Family(
        name="gru4rec",
        area="sequence",
        roles=("recommend",),
        summary="next item from a recurrent state that a session hands on; beats transition counts",
        paper="Hidasi et al., 2016, Session-based Recommendations with Recurrent Neural Networks",
        train=trained_by("gru4rec"),
        floors=(("hr@10", 0.21), ("ndcg@10", 0.105)),
        references=(
            Reference(metric="hr@10", value=0.110, source=RECBOLE),
            Reference(metric="ndcg@10", value=0.051, source=RECBOLE),
        ),
    ),
    Family(
        name="hstu",
        area="sequence",
        roles=("recommend",),
        summary="next item from pointwise attention over places and times; beats transition counts",
        paper="Zhai et al., 2024, Actions Speak Louder than Words",
        train=trained_by("hstu"),
        floors=(("hr@10", 0.195), ("ndcg@10", 0.102)),
    ),
    Family(
        name="bert4rec",
        area="sequence",
        roles=("recommend",),
        summary="next item behind a mask; beats transition counts by HR@10, not by NDCG@10",
        paper="Sun et al., 2019, BERT4Rec",
        train=trained_by("bert4rec"),
        floors=(("hr@10", 0.18), ("ndcg@10", 0.092)),
    ),
    Family(
        name="gsasrec",
        area="sequence",
        roles=("recommend",),
        summary="SASRec trained with few negatives, without overconfidence; beats transition counts",
        paper="Petrov and Macdonald, 2023, gSASRec",
        train=trained_by("gsasrec"),
        floors=(("hr@10", 0.195), ("ndcg@10", 0.1)),
    ),
    Family(
        name="lrurec",
        area="sequence",
        roles=("recommend",),
        summary="next item from a linear recurrence; does not beat transition counts",
        paper="Yue et al., 2024, Linear Recurrent Units for Sequential Recommendation",
        train=trained_by("lrurec"),
        floors=(("hr@10", 0.175), ("ndcg@10", 0.086)),
    ),
    Family(
        name="sasrec-beauty",
        area="sequence",
        roles=("recommend",),
        summary="SASRec on the reviews of beauty products; beats transition counts",
        paper="Kang and McAuley, 2018, Self-Attentive Sequential Recommendation",
        train="pocketrec.model_zoo.families.sasrec:train_beauty",
        data="amazon-beauty",
        floors=(("hr@10", 0.088), ("ndcg@10", 0.052)),
        references=(
            Reference(metric="hr@10", value=0.0605, source="S3-Rec's table, leave one out, all items"),
            Reference(metric="ndcg@10", value=0.0318, source="S3-Rec's table, leave one out, all items"),
        ),
    ),
)
