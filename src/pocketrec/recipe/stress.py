"""The table `stress`: what is asked of every artifact at the ends of what the contract allows."""

from __future__ import annotations

from dataclasses import dataclass

from pocketrec.errors import RecipeError

_MOST_ROWS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Stress:
    """Cases from the contract on every runtime, which must give the reference's answer or its refusal.

    Attributes:
        rows: of each stream of ids, at most 10,000; 0 asks for no case at all.
        leave_out: cases that are not asked, as the report names them (`histories: empty`) or by a pattern
            with `*`; each must fit one.
    """

    rows: int = 128
    leave_out: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.rows <= _MOST_ROWS:
            raise RecipeError(f"stress.rows is {self.rows}; expected 0 to {_MOST_ROWS}")
        if self.leave_out and not self.rows:
            raise RecipeError(
                "stress.leave_out: no case is asked, as stress.rows is 0; leave one of both out"
            )
