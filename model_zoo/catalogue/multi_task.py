"""Multi-task: several answers from one model."""

from __future__ import annotations

from pocketrec.model_zoo.family import Family

FAMILIES: tuple[Family, ...] = ()
