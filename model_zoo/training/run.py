"""A training run: its random numbers, whom it tells how far it is, and what it keeps to be gone on with."""

from __future__ import annotations

import io
import json
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pocketrec.errors import DataError, StorageError
from pocketrec.kept import read_checked, write_checked
from pocketrec.outside import exists

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
        """What `keep` kept of the stage, its random numbers put back; None where nothing was kept.

        Raises:
            DataError: something else is there, or it was cut or edited.
        """
        place = self._place(stage)
        content = None if place is None else read_checked(place)
        if content is None:
            if place is not None and exists(place):
                raise DataError(
                    f"{place}: is not what an unfinished training kept there; remove it, and train from the "
                    "start"
                )
            return None
        state: dict[str, Any] = torch.load(io.BytesIO(content), weights_only=True)
        torch.set_rng_state(state.pop("torch_rng"))
        self.rng.bit_generator.state = json.loads(state.pop("numpy_rng"))
        return state

    def keep(self, stage: str, state: dict[str, Any]) -> None:
        """Keeps what the stage has done, with the random numbers where they are; raises StorageError."""
        place = self._place(stage)
        if place is None:
            return
        numbers = {"torch_rng": torch.get_rng_state(), "numpy_rng": json.dumps(self.rng.bit_generator.state)}
        content = io.BytesIO()
        torch.save({**state, **numbers}, content)
        try:
            write_checked(place, content.getbuffer())
        except OSError as error:
            with suppress(OSError):
                place.parent.rmdir()  # where nothing was kept before
            raise StorageError(
                f"{place}: {os.strerror(error.errno or 0)}; what was kept before is still there: free space, "
                "and give the same command again, or write the weights to another folder"
            ) from error

    def forget(self) -> None:
        """Removes what was kept: the training is done."""
        if self.kept is not None:
            shutil.rmtree(self.kept, ignore_errors=True)

    def _place(self, stage: str) -> Path | None:
        return None if self.kept is None else self.kept / f"{self.key[:16]}-{stage}.pt"
