"""Reinforcement learning: what an action is worth."""

from __future__ import annotations

from pocketrec.model_zoo.catalogue.bandits import COUNTED
from pocketrec.model_zoo.family import Family, trained_by

FAMILIES = (
    Family(
        name="q-network",
        area="reinforcement learning",
        roles=("rank", "decide"),
        summary="values by conservative Q-learning; 38 clicks do not tell it from its start",
        paper="Kumar, Zhou, Tucker and Levine, 2020, Conservative Q-Learning",
        train=trained_by("q_network"),
        data="open-bandit",
        beside=COUNTED,
        floors=(("hr@10", 0.15), ("ndcg@10", 0.07)),
    ),
)
