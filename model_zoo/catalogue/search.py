"""Search: items for words."""

from __future__ import annotations

from pocketrec.model_zoo.family import Family, trained_by

FAMILIES = (
    Family(
        name="minilm",
        area="search",
        roles=("search",),
        summary="films for a text, by the nearest titles; BM25 reaches mrr@10 .759 on the same queries",
        paper="Wang et al., 2020, MiniLM; Reimers and Gurevych, 2019, Sentence-BERT",
        train=trained_by("minilm"),
        floors=(("mrr@10", 0.68),),
        committed=False,
    ),
)
