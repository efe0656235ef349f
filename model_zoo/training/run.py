"""A training run: its random numbers, whom it tells how far it is, and what it keeps to be gone on with."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pocketrec.errors import DataError
from pocketrec.files import whole_file
from pocketrec.outside import read_file

_LARGEST = 1 << 32  # bytes of weights, of their best, and of what the optimizer keeps
Progress = Callable[[int, int, float], None]


def _untold(epoch: int, epochs: int, best: float) -> None:
    del epoch, epochs, best


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What a family's training gets.

    Attributes:
        rng: for order, negatives and cuts; torch's own generator is seeded with the same number.
        progress: told the epoch, the number of epochs and the best metric so far.
        kept: the folder for what an unfinished training has done; None keeps nothing.
        key: of everything that decides the weights; what was kept under another is not gone on with.
    """

    rng: np.random.Generator
    progress: Progress = _untold
    kept: Path | None = None
    key: str = ""

    def load(self, stage: str) -> dict[str, Any] | None:
        """What `keep` kept of the stage, its random numbers put back; None where nothing was kept."""
        place = self._place(stage)
        if place is None or not place.is_file():
            return None
        content = read_file(
            place, largest=_LARGEST, error=DataError, remedy="remove it, and train from the start"
        )
        state: dict[str, Any] = torch.load(io.BytesIO(content), weights_only=True)
        torch.set_rng_state(state.pop("torch_rng"))
        self.rng.bit_generator.state = json.loads(state.pop("numpy_rng"))
        return state

    def keep(self, stage: str, state: dict[str, Any]) -> None:
        """Keeps what the stage has done so far, with the random numbers where they are."""
        place = self._place(stage)
        if place is None:
            return
        place.parent.mkdir(exist_ok=True)
        numbers = {"torch_rng": torch.get_rng_state(), "numpy_rng": json.dumps(self.rng.bit_generator.state)}
        with whole_file(place) as beside:
            torch.save({**state, **numbers}, beside)

    def forget(self) -> None:
        """Removes what was kept: the training is done."""
        if self.kept is not None:
            shutil.rmtree(self.kept, ignore_errors=True)

    def _place(self, stage: str) -> Path | None:
        return None if self.kept is None else self.kept / f"{self.key[:16]}-{stage}.pt"
