"""Estimators of what a policy of whole lists would have earned, from the log of another.

    row   a list of actions a_1 ... a_L, each drawn with a known probability, and a reward at each position

Each takes the positions' weights, and says which; each gives one number a list, as in `propensity.py`. What
they assume grows stronger from the first to the last, and their variance falls.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Doubles = npt.NDArray[np.float64]


def standard_ips(rewards: Doubles, conditional: Doubles) -> Doubles:
    """Scores by the whole list's weight, a number a list: (sum of r_l) times the product of w_1 to w_L.

    Assumes nothing of how a reward depends on the list (Precup, Sutton & Singh, 2000).

    Args:
        rewards: `[lists, positions]`.
        conditional: t / p of the action at each position given those above it, `[lists, positions]`.
    """
    values: Doubles = rewards.sum(1) * conditional.prod(1)
    return values


def reward_interaction_ips(rewards: Doubles, conditional: Doubles) -> Doubles:
    """Reward interaction scores (RIPS), a number a list: sum over l of r_l times the product of w_1 to w_l.

    Assumes that a reward depends on its own position and those above it, as in a cascade: McInerney, Brost,
    Chandar, Mehrotra & Carterette, "Counterfactual evaluation of slate recommendations with sequential reward
    interactions", 2020.

    Args:
        rewards: `[lists, positions]`.
        conditional: as of `standard_ips`.
    """
    values: Doubles = (rewards * np.cumprod(conditional, axis=1)).sum(1)
    return values


def independent_ips(rewards: Doubles, marginal: Doubles) -> Doubles:
    """Independent scores (IIPS), a number a list: sum over l of r_l w_l.

    Assumes that a reward depends on the item and its position alone (the item-position model of Li,
    Abbasi-Yadkori, Kveton, Muthukrishnan, Vinay & Wen, "Offline evaluation of ranking policies with click
    models", 2018).

    Args:
        rewards: `[lists, positions]`.
        marginal: t / p of the action at each position, whatever stands elsewhere, `[lists, positions]`.
    """
    values: Doubles = (rewards * marginal).sum(1)
    return values


def pseudoinverse(rewards: Doubles, marginal: Doubles) -> Doubles:
    """Pseudoinverse scores (PI), a number a list: (sum of r_l) times (1 - L + sum of w_l).

    Assumes that the list's reward is a sum of unknown parts, one for each action at its position: Swaminathan
    et al., "Off-policy evaluation for slate recommendation", 2017, in the form that their equation takes
    where the logged policy draws each position by itself (Vlassis, Chandrashekar, Gil & Kallus, "Control
    variates for slate off-policy evaluation", 2021). For a logged policy without replacement it does not
    hold.

    Args:
        rewards: `[lists, positions]`; only their sum is used.
        marginal: as of `independent_ips`.
    """
    values: Doubles = rewards.sum(1) * (1 - marginal.shape[1] + marginal.sum(1))
    return values
