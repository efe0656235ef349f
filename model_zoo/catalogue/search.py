"""Search: items for words."""

from __future__ import annotations

from pocketrec.model_zoo.family import Family, Reference, trained_by

BESIDE = (Reference(metric="mrr@10", value=0.758, source="BM25"),)

FAMILIES = (
    Family(
        name="minilm",
        area="search",
        roles=("search",),
        summary="films for a text, by the nearest titles; does not beat BM25 (mrr@10 .758) on typed titles",
        paper="Wang et al., 2020, MiniLM; Reimers and Gurevych, 2019, Sentence-BERT",
        train=trained_by("minilm"),
        floors=(("mrr@10", 0.7),),
        beside=BESIDE,
        committed=False,
    ),
    Family(
        name="hybrid",
        area="search",
        roles=("search",),
        summary="films for a text, by the nearest titles and by BM25 in one graph; beats both alone",
        paper="Bruch et al., 2023, An Analysis of Fusion Functions for Hybrid Retrieval",
        train=trained_by("hybrid"),
        floors=(("mrr@10", 0.79),),
        beside=BESIDE,
        committed=False,
    ),
    Family(
        name="minilm-office",
        area="search",
        roles=("search",),
        summary="products for a text, by vectors cut to 128 dimensions; does not beat BM25 on descriptions",
        paper="Wang et al., 2020, MiniLM; Kusupati et al., 2022, Matryoshka Representation Learning",
        train="pocketrec.model_zoo.families.minilm:train_office",
        floors=(("mrr@10", 0.5),),
        data="amazon-office",
        beside=(Reference(metric="mrr@10", value=0.561, source="BM25"),),
        committed=False,
    ),
    Family(
        name="cross-encoder",
        area="search",
        roles=("arrange",),
        summary="a page of BM25 in a better order, by a text and every title read together",
        paper="Nogueira and Cho, 2019, Passage Re-ranking with BERT",
        train=trained_by("cross_encoder"),
        floors=(("mrr@10", 0.71),),
        data="amazon-office",
        beside=(Reference(metric="mrr@10", value=0.6687, source="BM25's order of the same pages"),),
    ),
)
