"""All families of the zoo, by name; areas in the order of a store: found, ranked, arranged, decided."""

from __future__ import annotations

from pocketrec.errors import UsageError, meant
from pocketrec.model_zoo.catalogue import (
    bandits,
    creatives,
    embedding_tricks,
    generative_retrieval,
    multi_task,
    page_generation,
    probabilistic,
    ranking,
    reinforcement_learning,
    retrieval,
    search,
    sequence,
)
from pocketrec.model_zoo.family import Family

_AREAS = (
    retrieval,
    sequence,
    ranking,
    multi_task,
    page_generation,
    bandits,
    probabilistic,
    reinforcement_learning,
    search,
    generative_retrieval,
    creatives,
    embedding_tricks,
)

FAMILIES: dict[str, Family] = {each.name: each for area in _AREAS for each in area.FAMILIES}


def family(name: str) -> Family:
    """The family of that name; UsageError names those that there are."""
    if name not in FAMILIES:
        raise UsageError(
            f"zoo: no family {name!r}; expected one of {', '.join(FAMILIES)}{meant(name, FAMILIES)}"
        )
    return FAMILIES[name]
