"""Retrieval: what may be relevant, from everything."""

from __future__ import annotations

from pocketrec.model_zoo.family import RECBOLE, Family, Reference, trained_by

FAMILIES = (
    Family(
        name="two-tower",
        area="retrieval",
        roles=("recommend", "embed"),
        summary="retrieval with a user tower and an item tower; does not beat transition counts",
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
    Family(
        name="ease",
        area="retrieval",
        roles=("recommend",),
        summary="an item-item matrix in closed form; does not beat transition counts on the next film",
        paper="Steck, 2019, Embarrassingly Shallow Autoencoders for Sparse Data",
        train=trained_by("ease"),
        floors=(("hr@10", 0.135), ("ndcg@10", 0.071)),
        references=(
            Reference(metric="hr@10", value=0.135, source=RECBOLE),
            Reference(metric="ndcg@10", value=0.071, source=RECBOLE),
        ),
        committed=False,
    ),
    Family(
        name="bpr-mf",
        area="retrieval",
        roles=("recommend",),
        summary="tables of users and items, learned from pairs; does not beat transition counts",
        paper="Rendle et al., 2009, BPR: Bayesian Personalized Ranking from Implicit Feedback",
        train=trained_by("bpr_mf"),
        floors=(("hr@10", 0.115), ("ndcg@10", 0.054)),
        references=(
            Reference(metric="hr@10", value=0.095, source=RECBOLE),
            Reference(metric="ndcg@10", value=0.050, source=RECBOLE),
        ),
    ),
    Family(
        name="lightgcn",
        area="retrieval",
        roles=("recommend",),
        summary="tables that a graph of who chose what has smoothed; does not beat transition counts",
        paper="He et al., 2020, LightGCN: Simplifying and Powering Graph Convolution Network",
        train=trained_by("lightgcn"),
        floors=(("hr@10", 0.11), ("ndcg@10", 0.053)),
        committed=False,
    ),
    Family(
        name="multvae",
        area="retrieval",
        roles=("recommend",),
        summary="an autoencoder of what somebody chose; does not beat transition counts on the next film",
        paper="Liang et al., 2018, Variational Autoencoders for Collaborative Filtering",
        train=trained_by("multvae"),
        floors=(("hr@10", 0.118), ("ndcg@10", 0.06)),
    ),
)
