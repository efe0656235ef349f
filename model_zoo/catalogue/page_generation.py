"""Page generation: a page in order."""

from __future__ import annotations

from pocketrec.model_zoo.family import Family

FAMILIES: tuple[Family, ...] = ()
