"""What a bandit on Open Bandit begins with: the clicks that the store had counted before the logs.

Li's prior (2010) is a variance of 1 for each weight, beside rewards whose noise is 1. A click's noise is
NOISE, and what a feature moves a click rate by is about .001: NOISE / 64, once contexts are in 64ths.
"""

from __future__ import annotations

import numpy as np

from pocketrec.model_zoo.data import bernoulli_ts, open_bandit
from pocketrec.model_zoo.families.parts.posterior import ArmPosterior, Doubles

SCALE = 1 / 64
NOISE = 0.065  # the standard deviation of a click of chance .0042


def learn_after_counts(posterior: ArmPosterior, x: Doubles, found: open_bandit.Log) -> None:
    """Sets the posterior to what the store's counts and the log say; x is `[rounds, d]`, a constant first.

    The counts are rounds of a person of whom nothing is known: a context of the constant alone.
    """
    clicks, passes = bernoulli_ts.clicks_and_passes()
    shown = clicks + passes
    nobody = np.zeros((len(clicks), x.shape[1]))
    nobody[:, 0] = SCALE
    posterior.learn(
        np.concatenate([nobody, x]),
        np.concatenate([np.arange(len(shown)), found.item]),
        np.concatenate([clicks / shown, found.click.astype(np.float64)]),
        np.concatenate([shown, np.ones(len(x))]),
    )
