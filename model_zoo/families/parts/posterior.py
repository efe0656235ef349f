"""Bayesian linear regression for each arm of a bandit: a mean and a width of what a context earns.

    A_a = I + sum x x^T      b_a = sum r x      theta_a = A_a^-1 b_a      width_a(x) = sqrt(x^T A_a^-1 x)

over the rounds in which arm a was shown (Li, Chu, Langford and Schapire, 2010, section 3.1). The width is
the length of R_a x with R_a^T R_a = A_a^-1: a sum of squares is never negative, whatever it is rounded to,
and the entries of R_a are as square roots of those of the inverse, which float16 holds over twice the range.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

Doubles = npt.NDArray[np.float64]


class ArmPosterior(nn.Module):
    """What each arm is believed to earn, linear in the context.

    Attributes:
        theta: the means of the weights, `[arms, d]`.
        root: R of each arm, `[arms, d, d]`.
    """

    theta: Tensor
    root: Tensor

    def __init__(self, arms: int, dim: int) -> None:
        super().__init__()
        self.register_buffer("theta", torch.zeros(arms, dim))
        self.register_buffer("root", torch.eye(dim).repeat(arms, 1, 1))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and width of every arm, both `[B, arms]`, from contexts `[B, d]`."""
        rotated = x @ self.root.transpose(1, 2)  # [arms, B, d]
        return x @ self.theta.T, rotated.square().sum(dim=-1).sqrt().T

    @torch.no_grad()
    def learn(
        self, x: Doubles, arm: npt.NDArray[np.integer], reward: Doubles, weight: Doubles | None = None
    ) -> None:
        """Sets both to what the rounds say.

        Args:
            x: contexts, `[rounds, d]`.
            arm: which was shown, `[rounds]`.
            reward: what it earned, `[rounds]`; of a round that stands for several, their mean.
            weight: how many rounds each stands for, `[rounds]`; 1 by default.
        """
        counts = np.ones(len(x)) if weight is None else weight
        for each in range(len(self.theta)):
            rows = arm == each
            weighted = x[rows] * counts[rows, None]
            inverse = np.linalg.inv(np.eye(x.shape[1]) + weighted.T @ x[rows])
            self.theta[each] = torch.from_numpy(inverse @ weighted.T @ reward[rows])
            self.root[each] = torch.from_numpy(np.linalg.cholesky(inverse).T.copy())
