"""Small systems of equations are solved step by step with the same numbers, on every target."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pocketrec.convert.rewrite import linear_algebra
from pocketrec.errors import Refused

MATRICES = torch.randn(5, 4, 4, generator=torch.Generator().manual_seed(0))
PERMUTED = torch.eye(4)[[2, 0, 3, 1]] * torch.tensor([1.0, -2.0, 0.5, 3.0])


def positive(x: Tensor) -> Tensor:
    return x @ x.mT + 0.5 * torch.eye(x.shape[-1])


def lower(x: Tensor) -> Tensor:
    return x + 3 * torch.eye(x.shape[-1])


CASES: dict[str, Callable[[Tensor], Any]] = {
    "solve_to_elimination": lambda x: (
        torch.linalg.solve(positive(x), x[..., 0]),
        torch.linalg.solve(positive(x), x[..., :2]),
        torch.linalg.solve(positive(x), x, left=False),
        torch.linalg.solve(positive(x[:1]), x),
        torch.linalg.solve(positive(x[:2, None]), x[None, 2:]),
        torch.linalg.solve(positive(x), x[0, 0]),
    ),
    "inverse_to_elimination": lambda x: (torch.linalg.inv(positive(x)), torch.inverse(lower(x))),
    "det_to_elimination": torch.linalg.det,
    "slogdet_to_elimination": lambda x: (*torch.linalg.slogdet(x), *torch.slogdet(-x)),
    "logdet_to_elimination": torch.logdet,
    "cholesky_to_columns": lambda x: (
        torch.linalg.cholesky(positive(x)),
        torch.linalg.cholesky(positive(x), upper=True),
    ),
    "solve_triangular_to_steps": lambda x: (
        torch.linalg.solve_triangular(lower(x), x, upper=False),
        torch.linalg.solve_triangular(lower(x), x[..., :1], upper=True),
        torch.linalg.solve_triangular(lower(x), x, upper=True, left=False),
        torch.linalg.solve_triangular(x * 0.3, x, upper=False, unitriangular=True),
        torch.linalg.solve_triangular(lower(x[0]), x, upper=False),
    ),
    "cholesky_solve_to_steps": lambda x: (
        torch.cholesky_solve(x, torch.linalg.cholesky(positive(x))),
        torch.cholesky_solve(x, torch.linalg.cholesky(positive(x), upper=True), upper=True),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_every_rule_gives_the_numbers_of_its_op(applied: Callable[..., Any], name: str) -> None:
    assert name in applied(CASES[name], MATRICES)


@pytest.mark.parametrize("function", [torch.linalg.inv, torch.linalg.det, torch.linalg.slogdet])
def test_a_zero_on_the_diagonal_needs_another_row(applied: Callable[..., Any], function: Any) -> None:
    assert applied(function, PERMUTED)
    assert applied(function, torch.stack([PERMUTED, PERMUTED.flip(0)]))


def test_a_matrix_that_is_large_or_not_of_real_numbers_is_left_alone() -> None:
    large = torch.eye(linear_algebra.LARGEST + 1)
    for rule in linear_algebra.RULES:
        arguments = (large,) if rule.replace.__code__.co_argcount < 2 else (large, large)
        options = {"upper": False} if rule.replace is linear_algebra.solve_triangular else {}
        assert rule.replace(*arguments, **options) is NotImplemented
    assert linear_algebra.inverse(torch.eye(2, dtype=torch.complex64)) is NotImplemented
    assert linear_algebra.solve(torch.eye(2), torch.ones(2), left=False) is NotImplemented


def test_a_matrix_that_is_not_positive_definite_has_no_factor() -> None:
    assert bool(linear_algebra.cholesky(-torch.eye(3)).isnan().any())


def test_the_proof_catches_elimination_without_the_order_of_the_rows(applied: Callable[..., Any]) -> None:
    def without_sign(A: Tensor) -> Any:
        return linear_algebra._eliminate(A, A[..., :1]).pivots.prod(-1)

    rule = next(each for each in linear_algebra.RULES if each.replace is linear_algebra.det)
    with pytest.raises(Refused, match="the rewrite det_to_elimination is off by"):
        applied(torch.linalg.det, MATRICES, rules=[replace(rule, replace=without_sign)])


@pytest.mark.long
def test_a_bandit_with_its_state_as_an_input_is_converted_with_a_free_batch(
    converted: Callable[..., Any],
) -> None:
    class Bandit(nn.Module):
        """The upper confidence bound of every arm, and a draw from its posterior."""

        def forward(self, x: Tensor, a: Tensor, b: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
            covariance = torch.linalg.inv(positive(a))
            mean = torch.linalg.solve(positive(a), b)
            width = torch.einsum("nd,nkde,ne->nk", x, covariance, x).clamp(min=0).sqrt()
            draw = mean + (torch.linalg.cholesky(covariance) @ noise.unsqueeze(-1)).squeeze(-1)
            return (mean @ x.unsqueeze(-1)).squeeze(-1) + width, (draw @ x.unsqueeze(-1)).squeeze(-1)

    generator = torch.Generator().manual_seed(1)
    shapes = ((3, 4), (3, 2, 4, 4), (3, 2, 4), (3, 2, 4))
    found = converted(Bandit(), *(torch.randn(shape, generator=generator) for shape in shapes))
    assert found.notes == ()


def test_both_targets_solve_one_system_for_every_row(far: Callable[..., Any]) -> None:
    class Arms(nn.Module):
        def forward(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
            return torch.linalg.solve(positive(x[:1]), y), torch.linalg.solve(
                positive(x)[:, None], y[:, None, :, :1]
            )

    def drawn(rows: int) -> tuple[Tensor, Tensor]:
        return torch.rand(rows, 3, 3), torch.randn(rows, 3, 2)

    far(Arms(), drawn(4), drawn(6))
