"""All controls of one target on one runtime."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from pocketrec.errors import CheckFailed, InputError
from pocketrec.recipe import Gates
from pocketrec.report import Control, RuntimeResult
from pocketrec.validate.controls import again, engine, follows, fresh, reading
from pocketrec.validate.evidence import Open, Reference
from pocketrec.validate.gates import check_parity_gates
from pocketrec.validate.runtimes.runtime import Browsed, Runtime


def with_controls(
    result: RuntimeResult, paths: Mapping[str, Path], reference: Reference, gates: Gates, open_with: Open
) -> RuntimeResult:
    """Returns the result with its controls, where it ran, its numbers hold and it is no browser's.

    A browser's files are those that another engine of its format is controlled with. Without evaluation data
    there is a draft of a contract, whose every input need not be one of the model's; see `pipeline.far`.

    Args:
        result: of `examine_target`.
        paths: function to artifact.
        reference: what it was compared with.
        gates: as it was compared by.
        open_with: loads an artifact.
    """
    if result.status != "ran" or not reference.evaluations:
        return result
    if any(each.status != "passed" for each in check_parity_gates(gates, [replace(result, stress=())])):
        return result  # there is nothing to control in what failed
    with ExitStack() as stack:
        opened = {
            name: stack.enter_context(open_with(path, result.runtime, function=name))
            for name, path in paths.items()
        }
        if any(isinstance(each, Browsed) for each in opened.values()):
            return result
        controls = tuple(_asked(opened, result, paths, reference, gates))
    read = reading.reads_artifact(paths, result.runtime, reference, gates, open_with)
    return replace(result, controls=(*controls, read))


def _asked(
    opened: Mapping[str, Runtime],
    result: RuntimeResult,
    paths: Mapping[str, Path],
    reference: Reference,
    gates: Gates,
) -> Iterator[Control]:
    seed = fresh.seed_of(paths.values())
    try:
        with engine.pytorch_calls() as called:
            again_asked = again.asked_again(opened, reference, seed)
        yield fresh.fresh_inputs(opened, result, reference, gates, seed)
        yield again_asked
        yield follows.follows_inputs(opened, reference, seed)
    except (CheckFailed, InputError) as error:
        yield Control(gate=fresh.GATE, passed=False, message=f"on inputs drawn after it was written: {error}")
        return
    told = engine.calls_told(called)
    yield Control(gate=engine.GATE, passed=not told, message=told or "no operator of PyTorch ran")
