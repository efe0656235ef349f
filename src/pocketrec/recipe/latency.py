"""The table `latency`: how it is measured."""

from __future__ import annotations

from dataclasses import dataclass

from pocketrec.errors import RecipeError

_MOST_THREADS = 256
_MOST_RUNS = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """How latency is measured.

    Attributes:
        warmup: calls that are not counted, before those that are.
        runs: calls that are counted, 10 to 1,000,000.
        threads: of the runtime, at most 256.
    """

    warmup: int = 10
    runs: int = 100
    threads: int = 1

    def __post_init__(self) -> None:
        for key, least in (("warmup", 0), ("runs", 10), ("threads", 1)):
            if getattr(self, key) < least:
                raise RecipeError(f"latency.{key} is {getattr(self, key)}; expected {least} or more")
            if getattr(self, key) > _MOST_RUNS:
                raise RecipeError(f"latency.{key} is {getattr(self, key)}; expected {_MOST_RUNS} at most")
        if self.threads > _MOST_THREADS:
            raise RecipeError(f"latency.threads is {self.threads}; expected {_MOST_THREADS} at most")
