"""One attempt to one target: written in each of the target's ways until one holds what it must."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from shutil import rmtree
from typing import TYPE_CHECKING

from pocketrec.convert.targets import Row, Write, row_of
from pocketrec.errors import ConversionError, Refused, StorageError, TableError
from pocketrec.origin import Told
from pocketrec.pipeline.attempts import Attempt
from pocketrec.pipeline.far import Far, compare_far
from pocketrec.pipeline.opening import open_artifact
from pocketrec.progress import Progress, silent
from pocketrec.recipe import Gates, Target
from pocketrec.report import GateResult, RuntimeResult
from pocketrec.workers import Workers

if TYPE_CHECKING:
    from pocketrec.quantize import QuantizedTensor
    from pocketrec.validate.evidence import Open


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is wanted of one target.

    Attributes:
        name: the target's.
        target: its options, resolved.
        codes: of compressed tensors by name.
        gates: what must hold.
        folder: for what is written; removed first.
        names: of the artifacts' files, without suffix, by function.
        report: told what is being done.
        workers: who examines the evaluation data.
    """

    name: str
    target: Target
    codes: Mapping[str, QuantizedTensor]
    gates: Gates
    folder: Path
    names: Mapping[str, str] = field(default_factory=dict)
    report: Progress = silent
    workers: Workers | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """The artifacts of one target.

    Attributes:
        attempt: what they were made from.
        artifacts: function to path.
        told: function to what its lowering tells of its tensors; nothing of a target that tells nothing.
        results: one per runtime of the target's format.
        gates: whether the numbers are the reference's, per result.
        far: what they were compared on, far from the example.
        open_with: opens one of them as the target asks.
        way: what is to be said of how they were made.
        before: why another attempt did not do; None where this was the first.
    """

    attempt: Attempt
    artifacts: Mapping[str, Path]
    results: tuple[RuntimeResult, ...]
    gates: tuple[GateResult, ...]
    far: Far
    open_with: Open
    told: Mapping[str, Told] = field(default_factory=dict)
    way: str = ""
    before: str | None = None

    @property
    def failure(self) -> str | None:
        """What does not hold, in words; None where everything does."""
        return next((each.message for each in self.gates if each.status == "failed"), None)

    @property
    def holds(self) -> bool:
        """True where the artifacts give the reference's numbers."""
        return self.failure is None

    @property
    def notes(self) -> tuple[str, ...]:
        """What must be said of the way and of the attempt."""
        said = self.attempt.trial.note
        if said and self.before:
            said = f"{said}: {self.before}"
        return tuple(text for text in (self.way, said, self.far.note) if text)

    def moved(self, place: Path) -> Delivered:
        """The same with its files in `place`, where nothing is."""
        first = next(iter(self.artifacts.values()))
        place.parent.mkdir(parents=True, exist_ok=True)
        first.parent.rename(place)
        return replace(self, artifacts={name: place / each.name for name, each in self.artifacts.items()})


def deliver(attempt: Attempt, order: Order) -> Delivered:
    """The artifacts written by the first way that holds, else by the first that could be written.

    Raises:
        ConversionError: no way could be written; the error of the first.
    """
    row = row_of(order.name, order.target)
    ways = _ways(attempt, order, row)
    first: Delivered | None = None
    errors: list[ConversionError] = []
    for number, way in enumerate(dict.fromkeys(each for found in ways.values() for each in found)):
        folder = order.folder / str(number)
        try:
            chosen = {name: each.get(way, each[""]) for name, each in ways.items()}
            artifacts, told = _written(row, order, chosen, folder)
            found = replace(_examined(attempt, order, row, artifacts, way), told=told)
        except (StorageError, TableError):
            raise
        except Exception as error:
            errors.append(error if isinstance(error, ConversionError) else defect(error))
            continue
        if found.holds:
            return found
        first = first or found
    if first is None:
        raise errors[0]
    return first


def written_first(attempt: Attempt, order: Order) -> dict[str, Path]:
    """Function to the artifact that the target's first way writes; nothing is compared."""
    row = row_of(order.name, order.target)
    ways = _ways(attempt, order, row)
    chosen = {name: next(iter(each.values())) for name, each in ways.items()}
    return _written(row, order, chosen, order.folder)[0]


def _ways(attempt: Attempt, order: Order, row: Row) -> dict[str, Mapping[str, Write]]:
    """Function to the ways of the target that its capture has, the first one first."""
    tables = attempt.trial.model.core.tables
    return {
        name: row.ways(each, order.target, order.codes, tables) for name, each in attempt.captures.items()
    }


def _written(
    row: Row, order: Order, chosen: Mapping[str, Write], folder: Path
) -> tuple[dict[str, Path], dict[str, Told]]:
    """Function to the artifact in `folder`, with the files that it refers to; function to what is told."""
    rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    artifacts, told = dict[str, Path](), dict[str, Told]()
    for name, write in chosen.items():
        artifacts[name] = folder / f"{order.names.get(name, name)}{row.suffix}"
        given = write(artifacts[name])
        if given is not None:
            told[name] = given
    if not order.target.multifunction or row.joined is None:
        return artifacts, told
    joined = row.joined(artifacts, folder / f"all-functions{row.suffix}")  # no function can have this name
    for each in artifacts.values():
        rmtree(each)
    return dict.fromkeys(artifacts, joined), told


def _examined(attempt: Attempt, order: Order, row: Row, artifacts: Mapping[str, Path], way: str) -> Delivered:
    """The artifacts with what every runtime of their format gives."""
    from pocketrec.validate.controls.run import with_controls
    from pocketrec.validate.evidence import examine_target
    from pocketrec.validate.gates import check_parity_gates

    open_with = partial(open_artifact, compute_units=order.target.compute_units)
    results = tuple(
        examine_target(
            order.name,
            runtime,
            artifacts,
            reference=attempt.reference,
            gates=order.gates,
            progress=order.report,
            open_with=open_with,
            workers=order.workers,
        )
        for runtime in row.runtimes
    )
    results = tuple(
        with_controls(each, artifacts, attempt.reference, order.gates, open_with) for each in results
    )
    gates = check_parity_gates(order.gates, results)
    far = Far(left_out={})
    if attempt.trial.far and all(each.status != "failed" for each in gates):
        ran = next(each for each in results if each.status == "ran")
        far = compare_far(attempt, artifacts, ran, order.gates, open_with)
        gates = (*gates, far.gate(order.name, ran.runtime))
    return Delivered(
        attempt=attempt,
        artifacts=artifacts,
        results=results,
        gates=gates,
        far=far,
        way=way,
        open_with=open_with,
    )


def defect(error: Exception) -> Refused:
    """A refusal for what should not have happened; its cause is kept for `--debug`."""
    line = (str(error).strip().splitlines() or [""])[0]
    refused = Refused(
        op="pocketrec",
        where="",
        reason=f"{type(error).__name__}: {line}",
        remedy="a defect in pocketrec: report it with this module",
    )
    refused.__cause__ = error
    return refused
