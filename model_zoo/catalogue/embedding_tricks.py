"""Embedding tricks: tables that are smaller than their vocabularies."""

from __future__ import annotations

from pocketrec.model_zoo.family import DEEPFM, Family, trained_by

FAMILIES = (
    Family(
        name="qr-dlrm",
        area="embedding tricks",
        roles=("rank",),
        summary="a DLRM of a third: rows of quotient and remainder, narrower large tables",
        paper="Shi et al., 2020, Compositional Embeddings; Ginart et al., 2019, Mixed Dimension Embeddings",
        train=trained_by("qr_dlrm"),
        floors=(("auc", 0.785),),
        references=(DEEPFM,),
    ),
)
