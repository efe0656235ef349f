"""Creatives: which picture for whom."""

from __future__ import annotations

from pocketrec.model_zoo.family import Family

FAMILIES: tuple[Family, ...] = ()
