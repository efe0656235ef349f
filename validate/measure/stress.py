"""Stress: each case from the contract on an artifact and on the reference, which must do the same.

    cases ─▶ calls, rows of like cases together ─▶ both answer or refuse ─▶ same, refused, differs

The reference answers anew for every artifact, so that nothing of a large catalogue is kept. An id that the
contract forbids may be refused whatever the model does; where the model refuses it, it must be.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Literal

import numpy as np

from pocketrec.contract import Contract, Signature
from pocketrec.errors import CheckFailed, ContractError, InputError, UnsupportedOp
from pocketrec.evaluation import Arrays
from pocketrec.recipe import Gates, Stress
from pocketrec.report import Outcome, StressCase
from pocketrec.validate.measure.parity import check_parity
from pocketrec.validate.measure.stress_cases import Case, make_cases, most_rows, stacks
from pocketrec.validate.measure.tolerances import Distance, distance, excesses, tie_tolerance
from pocketrec.validate.runtimes.fit import batch_dim, run_fitted
from pocketrec.validate.runtimes.runtime import Array, Browsed, Runtime, TensorSpec

_TOGETHER = 64  # rows of a call that holds several cases
_MOST_BROWSED = 16  # rows of a stream in a browser, which may play a GPU in software
# An index outside of a tensor is undefined there, and what is undefined may end the process.
_UNDEFINED = frozenset({"coreml-framework"})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Refusal:
    """Instead of an answer: what was raised."""

    message: str


Answer = Mapping[str, Array] | _Refusal


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """One case, before what counts as the same is known of all.

    Attributes:
        case: what was asked.
        outcome: None where numbers decide.
        reason: in words; empty where numbers decide.
        distances: by output.
    """

    case: Case
    outcome: Outcome | None = None
    reason: str = ""
    distances: Mapping[str, Distance] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pair:
    """An artifact of a function, and the reference that it is held to."""

    runtime: Runtime
    reference: Runtime
    contract: Contract
    function: str
    gates: Gates

    @property
    def signature(self) -> Signature:
        return self.contract.functions[self.function]

    @property
    def precision(self) -> str:
        return self.runtime.describe().precision


def check_stress(
    runtime: Runtime,
    reference: Runtime,
    contract: Contract,
    function: str,
    *,
    gates: Gates,
    stress: Stress,
    seed: int = 0,
) -> tuple[StressCase, ...]:
    """One result per case of a function.

    Args:
        runtime: the artifact.
        reference: the model.
        contract: of the model.
        function: its name.
        gates: what counts as the same.
        stress: what is asked.
        seed: of what is random in cases.

    Raises:
        UnsupportedOp: the runtime lacks an op.
    """
    pair = _Pair(runtime=runtime, reference=reference, contract=contract, function=function, gates=gates)
    if isinstance(runtime, Browsed):
        stress = replace(stress, rows=min(stress.rows, _MOST_BROWSED))
    found: list[_Found] = []
    for case in make_cases(contract, function, stress, seed=seed):
        if case.left_out:
            found.append(_Found(case=case, outcome="left_out", reason=case.left_out))
        elif case.forbidden and runtime.describe().runtime in _UNDEFINED:
            reason = f"what {runtime.describe().runtime} does with it is undefined"
            found.append(_Found(case=case, outcome="left_out", reason=reason))
        else:
            found.append(_Found(case=case))
    asked = [each.case for each in found if each.outcome is None]
    answered = iter([each for call in _calls(asked, contract, pair.signature) for each in _ask(pair, call)])
    return _judged(pair, [next(answered) if each.outcome is None else each for each in found])


def not_run(
    contract: Contract, function: str, stress: Stress, reason: str, *, seed: int = 0
) -> tuple[StressCase, ...]:
    """The cases of a function that could not be asked, by name."""
    return tuple(
        StressCase(function=function, kind=each.kind, name=each.name, outcome="not_run", reason=reason)
        for each in make_cases(contract, function, stress, seed=seed)
    )


def _calls(cases: Sequence[Case], contract: Contract, signature: Signature) -> Iterator[list[Case]]:
    """The cases in order, those of a kind whose rows can be one call together."""
    if not stacks(signature):
        yield from ([each] for each in cases)
        return
    most = min(_TOGETHER, most_rows(contract, signature))
    for alone, group in groupby(cases, key=lambda each: (each.alone, each.kind)):
        waiting = list(group)
        step = 1 if alone[0] else max(1, most // _rows(waiting[0], signature))
        yield from (waiting[start : start + step] for start in range(0, len(waiting), step))


def _rows(case: Case, signature: Signature) -> int:
    dim = batch_dim(signature)
    return next(len(case.inputs[each.name]) for each in signature.inputs if each.shape[:1] == (dim,))


def _ask(pair: _Pair, cases: Sequence[Case]) -> list[_Found]:
    """What became of the cases of one call."""
    if len(cases) == 1:
        states = _stated_refusal(pair, cases[0])
        if states is not None:
            return [states]
    expected = _answers(pair.reference, pair, cases)
    actual = _answers(pair.runtime, pair, cases)
    return [_compared(pair, *each) for each in zip(cases, expected, actual, strict=True)]


def _stated_refusal(pair: _Pair, case: Case) -> _Found | None:
    """What becomes of shapes that the artifact says it has not; None where the case is to be compared.

    An app splits and pads for such an artifact, and is compared so, unless that is another question.
    """
    wrong = _narrower(pair.runtime.describe().inputs, case.inputs)
    if not case.alone or not wrong:
        return None
    try:
        pair.runtime.run(case.inputs)
    except UnsupportedOp:
        raise
    except (CheckFailed, InputError):
        reason = f"refused, as contract.json says of its shapes: {wrong}"
        return _Found(case=case, outcome="refused", reason=reason) if case.exact else None
    return _Found(case=case, outcome="differs", reason=f"answered, though it says of its shapes: {wrong}")


def _narrower(specs: Sequence[TensorSpec], inputs: Arrays) -> str:
    """Which input has a fixed size that is another than the case's; empty where none has."""
    for spec in specs:
        given = inputs[spec.name].shape if spec.name in inputs else ()
        for size, own in zip(given, spec.shape, strict=False):
            if own is not None and own != size:
                return f"{spec.name} is {list(spec.shape)}".replace("None", "?")
    return ""


def _answers(runtime: Runtime, pair: _Pair, cases: Sequence[Case]) -> list[Answer]:
    """The answer to each case; where a call is refused, each of its cases is asked alone."""
    inputs = {
        name: np.concatenate([each.inputs[name] for each in cases]) if len(cases) > 1 else array
        for name, array in cases[0].inputs.items()
    }
    try:
        outputs = run_fitted(runtime, pair.contract, pair.signature, inputs)
    except UnsupportedOp:
        raise
    except (CheckFailed, InputError, ContractError) as error:
        if len(cases) == 1:
            return [_Refusal(message=str(error))]
        return [_answers(runtime, pair, [each])[0] for each in cases]
    if len(cases) == 1:
        return [outputs]
    ends = np.cumsum([_rows(each, pair.signature) for each in cases])
    return [
        {
            name: array[end - _rows(case, pair.signature) : end] if array.ndim else array
            for name, array in outputs.items()
        }
        for case, end in zip(cases, ends, strict=True)
    ]


def _compared(pair: _Pair, case: Case, expected: Answer, actual: Answer) -> _Found:
    """The case where one of both refuses, or where the answers cannot be measured, decided."""
    if isinstance(actual, _Refusal):
        if isinstance(expected, _Refusal) or case.forbidden:
            return _Found(case=case, outcome="refused", reason=f"refused: {actual.message}")
        return _Found(
            case=case, outcome="differs", reason=f"refused, and the model answers: {actual.message}"
        )
    if isinstance(expected, _Refusal):
        reason = f"answered, and the model refuses: {expected.message}"
        return _Found(case=case, outcome="differs", reason=reason)
    results = check_parity(
        [expected],
        [actual],
        [""],
        pair.signature,
        function=pair.function,
        tie_tolerance=tie_tolerance(pair.gates, pair.precision),
    )
    for each in results:
        wrong = each.failure or each.mismatches
        if wrong and not _equal(expected.get(each.output), actual.get(each.output)):
            said = each.failure or f"{each.mismatches} of {each.elements} ids differ and are no tie"
            return _Found(case=case, outcome="differs", reason=f"{each.output}: {said}")
    return _Found(case=case, distances=_distances(pair.signature, expected, actual))


def _equal(expected: Array | None, actual: Array | None) -> bool:
    """Whether an output is the reference's to the last bit, infinite in every place too; no NaN is equal."""
    if expected is None or actual is None or expected.dtype != actual.dtype:
        return False
    return np.array_equal(expected, actual)


def _distances(
    signature: Signature, expected: Mapping[str, Array], actual: Mapping[str, Array]
) -> dict[str, Distance]:
    floats = [each.name for each in signature.outputs if each.dtype == "float32"]
    return {name: distance(expected[name], actual[name]) for name in floats}


def _judged(pair: _Pair, found: Sequence[_Found]) -> tuple[StressCase, ...]:
    """The cases with what their numbers decide."""
    worst: dict[int, tuple[float, str]] = {}
    for out in pair.signature.outputs:
        places = [place for place, each in enumerate(found) if out.name in each.distances]
        if not places:
            continue
        values = excesses([found[each].distances[out.name] for each in places], pair.gates, pair.precision)
        for place, value in zip(places, values, strict=True):
            worst[place] = max(worst.get(place, (-1.0, "")), (value, out.name))
    return tuple(_case(pair, each, *worst.get(place, (0.0, ""))) for place, each in enumerate(found))


def _case(pair: _Pair, found: _Found, excess: float, output: str) -> StressCase:
    decided: Literal["same", "differs"] = "same" if excess <= 1 else "differs"
    outcome = decided if found.outcome is None else found.outcome
    reason = found.reason
    if not reason and outcome == "differs":
        error = found.distances[output].error
        reason = f"{output}: off by {error:.3g}, {excess:.3g} times what is allowed"
    has_rows = found.case.inputs and batch_dim(pair.signature) is not None
    return StressCase(
        function=pair.function,
        kind=found.case.kind,
        name=found.case.name,
        outcome=outcome,
        excess=excess,
        output=output,
        reason=reason,
        rows=_rows(found.case, pair.signature) if has_rows else 0,
    )
