"""What became of the inputs that the contract allows at its ends, case by case."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Outcome = Literal["same", "refused", "differs", "not_run", "left_out"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StressCase:
    """One case on one artifact: whether it gives the reference's answer, or its documented refusal.

    Attributes:
        function: the function's name.
        kind: what it is about, such as `batches` or `unknown ids`.
        name: what was asked, within the kind.
        outcome: `same`; `refused`, as the reference refuses or as contract.json says of the target's shapes;
            `differs`; `not_run`, which fails as well; or `left_out` by a limit or by the recipe.
        excess: the largest difference as a multiple of what counts as the same numbers; 0 where none was
            computed.
        output: of that difference; empty where none was computed.
        reason: why it is none of `same`, in words.
        rows: that were asked; 0 where it was not, or where a call has no rows.
    """

    function: str
    kind: str
    name: str
    outcome: Outcome
    excess: float = 0.0
    output: str = ""
    reason: str = ""
    rows: int = 0

    @property
    def wrong(self) -> bool:
        """Whether a gate fails on it; by its number, too, whatever it is called."""
        return self.outcome in ("differs", "not_run") or (self.outcome == "same" and not self.excess <= 1)

    def __str__(self) -> str:
        return f"{self.function}, {self.kind}: {self.name}"
