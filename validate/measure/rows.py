"""Parity on every row of the evaluation data, in the same notion as on probes.

model ─▶ columns of every output, row by row ─▶ the rows that differ most ─▶ parity, as of probes

What is kept of all rows together stays under `_MOST_BYTES`: all columns where they fit, else the same
few columns of every row, chosen by chance.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from pocketrec.contract import Output, Signature
from pocketrec.report import TensorParity
from pocketrec.validate.measure.parity import check_parity, failed_parity
from pocketrec.validate.measure.tolerances import rows_same_within
from pocketrec.validate.runtimes.runtime import Array

Doubles = npt.NDArray[np.float64]

CATALOGUE_ROW = "catalogue row"
_MOST_BYTES = 64 << 20
_CHUNK = 1024  # rows compared at a time
_WORST = 4  # rows by each measure of how far they are off
_NUMBER_BYTES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptRows:
    """What is kept of the rows of a function's outputs.

    Attributes:
        what: what a row is, for messages.
        values: output to `[rows, columns]`.
        whole: outputs of which every column is certain to be kept.
    """

    what: str
    values: Mapping[str, Array]
    whole: frozenset[str]


def most_columns(rows: int, outputs: int = 1) -> int:
    """How many columns are kept of each of so many outputs of so many rows."""
    return max(1, _MOST_BYTES // (_NUMBER_BYTES * rows * outputs))


def kept_columns(values: Array, rows: int, outputs: int = 1) -> Array:
    """The columns of `[part, ...]` that are kept where there are `rows` rows and `outputs` outputs in all."""
    flat, most = values.reshape(len(values), -1), most_columns(rows, outputs)
    if flat.shape[1] <= most:
        return flat
    chosen = np.random.default_rng(0).choice(flat.shape[1], most, replace=False)
    return flat[:, np.sort(chosen)]


def check_rows(
    expected: KeptRows, actual: KeptRows, signature: Signature, *, function: str, tie_tolerance: float
) -> tuple[TensorParity, ...]:
    """One result per output that was kept, of the rows that differ most.

    The signal-to-noise ratio is the worst row's, its signal being at least the mean of all rows, so that a
    row of small numbers is not held to more than the model's own scale.

    Args:
        expected: the reference's rows.
        actual: the artifact's.
        signature: of the function.
        function: its name, for the results.
        tie_tolerance: as of `check_parity`.
    """
    results = []
    for out in signature.outputs:
        if out.name not in expected.values or out.meaning == "state":
            continue
        one, two = expected.values[out.name], actual.values.get(out.name)
        if two is None or one.shape != two.shape:
            shape = "none" if two is None else str(two.shape)
            failure = f"{shape} for all {expected.what}s, expected {one.shape}"
            results.append(failed_parity(function, out.name, failure))
        elif out.dtype == "float32":
            results.append(_numbers(out, one, two, signature, expected.what, function))
        elif out.name in expected.whole & actual.whole:
            results.append(_ids(out, expected, actual, signature, function, tie_tolerance))
    return tuple(results)


def _numbers(
    out: Output, one: Array, two: Array, signature: Signature, what: str, function: str
) -> TensorParity:
    noise, signal, largest, sizes = _distances(one, two)
    excess = largest / rows_same_within(sizes)
    scale = np.maximum(signal, signal.mean())
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = np.where(noise == 0, np.inf, 10 * np.log10(scale / noise))
    worst = list(dict.fromkeys([*np.argsort(ratios)[:_WORST], *np.argsort(-excess)[:_WORST]]))
    (result,) = check_parity(
        [{out.name: one[row]} for row in worst],
        [{out.name: two[row]} for row in worst],
        [_named(what, row, len(one)) for row in worst],
        _only(signature, (out,)),
        function=function,
        tie_tolerance=0.0,
    )
    if result.failure:
        return result
    return replace(result, sqnr_db=float(ratios.min()), excess=float(excess.max()))


def _distances(one: Array, two: Array) -> tuple[Doubles, Doubles, Doubles, Doubles]:
    """Of every row the energy of the difference and of the reference, and the largest of each."""
    noise, signal, largest, sizes = (np.zeros(len(one)) for _ in range(4))
    for start in range(0, len(one), _CHUNK):
        part = slice(start, start + _CHUNK)
        a, b = one[part].astype(np.float64), two[part].astype(np.float64)
        with np.errstate(invalid="ignore"):
            error = np.abs(np.where(a == b, 0.0, a - b))
        error[~np.isfinite(error)] = np.inf
        noise[part] = np.square(error).sum(1)
        finite = np.where(np.isfinite(a), a, 0.0)
        signal[part], sizes[part] = np.square(finite).sum(1), np.abs(finite).max(axis=1, initial=0.0)
        largest[part] = error.max(axis=1, initial=0.0)
    return noise, signal, largest, sizes


def _ids(
    out: Output,
    expected: KeptRows,
    actual: KeptRows,
    signature: Signature,
    function: str,
    tie_tolerance: float,
) -> TensorParity:
    one, two = expected.values[out.name], actual.values[out.name]
    wrong = np.flatnonzero((one != two).any(axis=1))
    rows = wrong.tolist() or [0]
    both = expected.whole & actual.whole
    beside = [each for each in signature.outputs if each.name in both and each.meaning != "state"]
    results = check_parity(
        [_row(expected, beside, row) for row in rows],
        [_row(actual, beside, row) for row in rows],
        [_named(expected.what, row, len(one)) for row in rows],
        _only(signature, beside),
        function=function,
        tie_tolerance=tie_tolerance,
    )
    return next(each for each in results if each.output == out.name)


def _row(kept: KeptRows, outputs: Sequence[Output], row: int) -> dict[str, Array]:
    return {each.name: kept.values[each.name][row : row + 1] for each in outputs}


def _named(what: str, row: int, rows: int) -> str:
    return f"{what} {row} of {rows}"


def _only(signature: Signature, outputs: Sequence[Output]) -> Signature:
    """A signature of these outputs, for what reads outputs alone."""
    inputs = tuple(each for each in signature.inputs if each.kind != "state")
    return Signature(inputs=inputs or signature.inputs, outputs=tuple(outputs))
