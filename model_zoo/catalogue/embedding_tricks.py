"""Embedding tricks: tables that are smaller than their vocabularies."""

from __future__ import annotations

from pocketrec.model_zoo.family import Family

FAMILIES: tuple[Family, ...] = ()
