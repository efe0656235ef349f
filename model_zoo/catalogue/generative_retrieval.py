"""Generative retrieval: items spelled out, code by code."""

from __future__ import annotations

from pocketrec.model_zoo.family import Family

FAMILIES: tuple[Family, ...] = ()
