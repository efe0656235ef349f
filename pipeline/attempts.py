"""A source's trials on the road: each with its reference and its captures, made when they are asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from pocketrec.about import About
from pocketrec.contract import Contract, Signature
from pocketrec.evaluation import Arrays
from pocketrec.pipeline.references import reference_of
from pocketrec.progress import Progress, silent
from pocketrec.source.model import Trial, Trials
from pocketrec.workers import Workers

if TYPE_CHECKING:
    from torch import Tensor, nn

    from pocketrec.convert.capture.capture import Capture
    from pocketrec.validate.evidence import Reference


@dataclass(slots=True, kw_only=True)
class Attempt:
    """One trial with its reference; `captures` are there once `capture` was called."""

    trial: Trial
    reference: Reference
    about: About = field(default_factory=About)
    captures: dict[str, Capture] = field(default_factory=dict)

    def capture(self, report: Progress = silent) -> Mapping[str, Capture]:
        """Every function of the contract, captured and proved on the reference's probes.

        Raises:
            Refused: a function cannot be captured.
        """
        functions = self.trial.model.contract.functions
        for count, name in enumerate(functions):
            if name not in self.captures:
                report(f"capture {name}", count, len(functions))
                probes = [each.inputs for each in self.reference.probes[name]]
                self.captures[name] = capture_function(self.trial, name, probes, self.about)
        return self.captures


class Tried:
    """The attempts of a source in order; each is made once.

    Args:
        trials: the source.
        report: told what is being done.
        workers: who runs the reference on the evaluation data.
    """

    def __init__(self, trials: Trials, report: Progress = silent, workers: Workers | None = None) -> None:
        self.trials = trials
        self._waiting, self._report, self._workers = iter(trials), report, workers
        self._known: list[Attempt] = []

    def __iter__(self) -> Iterator[Attempt]:
        place = 0
        while place < len(self._known) or self._more():
            yield self._known[place]
            place += 1

    @property
    def first(self) -> Attempt:
        """The attempt that is made first."""
        return next(iter(self))

    def _more(self) -> bool:
        trial = next(self._waiting, None)
        if trial is None:
            return False
        known = self._known[0] if self._known else None
        if known is not None and _alike(trial, known.trial):
            reference = known.reference  # another capture of the same model
        else:
            reference = reference_of(trial, self.trials, self._report, self._workers)
        self._known.append(Attempt(trial=trial, reference=reference, about=self.trials.about))
        return True


def _alike(trial: Trial, other: Trial) -> bool:
    """Whether both are compared with the same model on the same probes."""
    probed = not trial.probes or trial.probes is other.probes
    return probed and trial.model.contract == other.model.contract


def capture_function(
    trial: Trial, function: str, probes: list[Arrays], about: About | None = None
) -> Capture:
    """A function of a trial's model, captured and proved on the probes; Refused where it cannot be."""
    import torch

    from pocketrec.convert.capture.capture import capture
    from pocketrec.convert.capture.streamed import capture_streamed

    signature = trial.captured.functions[function]
    given = [
        {
            name: torch.from_numpy(np.array(array))
            for name, array in _fixed(each, trial.captured, signature).items()
        }
        for each in probes
    ]
    core = trial.model.core
    if core.tables:
        found = capture_streamed(core, trial.captured, function, given)
    else:
        found = capture(_visible(trial, function, given[0]), trial.captured, function, given)
    return replace(found, shipped=trial.model.contract, about=about or About())


def _visible(trial: Trial, function: str, probe: Mapping[str, Tensor]) -> nn.Module:
    """The module; where it is TorchScript, or has parts that are, their graphs as plain calls."""
    from pocketrec.convert.example.scripted import visible
    from pocketrec.convert.watch.contract_module import ContractModule

    signature = trial.captured.functions[function]
    inputs = tuple(probe[each.name] for each in signature.inputs)
    return visible(
        trial.model.lowered, inputs, lambda each: ContractModule(each, trial.captured, signature)(*inputs)
    )


def _fixed(inputs: Arrays, contract: Contract, signature: Signature) -> Arrays:
    """The probe's first rows, as many as a dim of one size has."""
    found = {}
    for each in signature.inputs:
        array = np.asarray(inputs[each.name])
        low, high = contract.bounds(each.shape[0]) if each.shape else (0, 0)
        if each.shape and low == high and len(array) != low:
            array = array[np.arange(low) % len(array)]
        found[each.name] = array
    return found
