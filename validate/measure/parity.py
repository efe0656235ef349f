"""Parity: an artifact's outputs against the reference's, output by output, over all probes.

What would make a metric meaningless (NaN, a missing output, another shape, nothing to compare)
fails before any metric is computed.

The tie rule for ids. An id may differ from the reference's only where the reference itself could
have chosen it, within `tie_tolerance` times the largest |score| of the list:
with a full score output over the same vocabulary, where the reference's scores of both ids are that
close; otherwise, with paired top-k scores, where the id stands at another place of the reference's
list with a score that close, or where the place's score is that close to the last one of the list
(the id may then come from just beyond it) and the artifact's own score of the place agrees. An id
that stands twice in a list is never a tie. Without scores, ids are compared exactly.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from pocketrec.contract import SCORES, Output, Signature
from pocketrec.report import HISTOGRAM_EDGES, TensorParity
from pocketrec.validate.measure.tolerances import same_within
from pocketrec.validate.runtimes.runtime import Array

Outputs = Mapping[str, Array]
Floats = npt.NDArray[np.float64]
Ids = npt.NDArray[np.int64]


def check_parity(
    expected: Sequence[Outputs],
    actual: Sequence[Outputs],
    probes: Sequence[str],
    signature: Signature,
    *,
    function: str,
    tie_tolerance: float,
) -> tuple[TensorParity, ...]:
    """One result per output of the signature, over all probes.

    Args:
        expected: the reference's outputs, one mapping per probe.
        actual: the artifact's, in the same order; a probe that is missing at the end is a failure.
        probes: the probes' names.
        signature: says which outputs there are and what they mean.
        function: the function's name, for the results.
        tie_tolerance: see the module's tie rule; callers pass a wider one for float16.
    """
    results = []
    for out in signature.outputs:
        failure, worst = _failure(out, expected, actual, probes)
        if failure:
            results.append(failed_parity(function, out.name, failure, probes=len(probes), worst_probe=worst))
        elif out.dtype == "float32":
            results.append(_floats(out, expected, actual, probes, function))
        else:
            results.append(_exact(out, expected, actual, probes, signature, function, tie_tolerance))
    return tuple(results)


def failed_parity(
    function: str, output: str, failure: str, *, probes: int = 0, worst_probe: str = ""
) -> TensorParity:
    """A result that says why there are no metrics; no gate passes on it."""
    nan = float("nan")
    return TensorParity(
        function=function,
        output=output,
        probes=probes,
        elements=0,
        max_abs_error=nan,
        max_rel_error=nan,
        sqnr_db=nan,
        cosine=nan,
        failure=failure,
        worst_probe=worst_probe,
    )


def _failure(
    out: Output, expected: Sequence[Outputs], actual: Sequence[Outputs], probes: Sequence[str]
) -> tuple[str, str]:
    """Why the output cannot be compared, and the probe on which; empty strings where it can."""
    if not probes or not expected:
        return "nothing was compared: there are no probes", ""
    if not len(expected) == len(actual) == len(probes):
        return f"{len(probes)} probes, {len(expected)} reference and {len(actual)} artifact outputs", ""
    for name, left, right in zip(probes, expected, actual, strict=True):
        reason = _one_failure(out, left, right)
        if reason:
            return reason, name
    if not sum(each[out.name].size for each in expected):
        return "nothing was compared: the output has no elements", ""
    return "", ""


def _one_failure(out: Output, expected: Outputs, actual: Outputs) -> str:
    if out.name not in expected:
        return "the reference did not give this output"
    if out.name not in actual:
        return f"missing; the artifact gave {', '.join(sorted(actual)) or 'nothing'}"
    left, right = expected[out.name], np.asarray(actual[out.name])
    if left.shape != right.shape:
        return f"shape {right.shape}, expected {left.shape}"
    if str(right.dtype) != out.dtype:
        return f"dtype {right.dtype}, expected {out.dtype}"
    return _non_finite(left, right) if out.dtype == "float32" else ""


def _non_finite(left: Array, right: Array) -> str:
    if np.isnan(left).any():
        return f"the reference has {int(np.isnan(left).sum())} NaN"
    wrong = ~np.isfinite(right) & (left != right)
    if wrong.any():
        nans = int(np.isnan(right).sum())
        return f"{nans} NaN and {int(wrong.sum()) - nans} infinities where the reference has none"
    if (np.isinf(left) & (left != right)).any():
        return "finite where the reference is infinite"
    return ""


def _floats(
    out: Output, expected: Sequence[Outputs], actual: Sequence[Outputs], probes: Sequence[str], function: str
) -> TensorParity:
    left = [each[out.name].astype(np.float64).ravel() for each in expected]
    right = [each[out.name].astype(np.float64).ravel() for each in actual]
    # Where both are the same infinity there is no difference to take.
    finite = [np.isfinite(each) for each in left]
    left = [each[keep] for each, keep in zip(left, finite, strict=True)]
    right = [each[keep] for each, keep in zip(right, finite, strict=True)]
    worst = [np.abs(a - b).max(initial=0.0) / same_within(a) for a, b in zip(left, right, strict=True)]
    a, b = np.concatenate(left), np.concatenate(right)
    if not a.size:
        return failed_parity(function, out.name, "nothing was compared: every value is infinite")
    error = np.abs(a - b)
    return TensorParity(
        function=function,
        output=out.name,
        probes=len(probes),
        elements=int(a.size),
        max_abs_error=float(error.max()),
        max_rel_error=float((error / np.maximum(np.abs(a), 1e-6)).max()),
        sqnr_db=sqnr_db(a, b),
        cosine=_cosine(a, b),
        worst_probe=probes[int(np.argmax(worst))],
        histogram=_histogram(error),
        excess=float(max(worst)),
    )


def sqnr_db(reference: Floats, actual: Floats) -> float:
    """Signal-to-quantization-noise ratio, 10 log10(sum(r^2) / sum((r - a)^2)), in dB; inf where equal."""
    noise = float(np.square(reference - actual).sum())
    signal = float(np.square(reference).sum())
    if noise == 0:
        return float("inf")
    return 10 * float(np.log10(signal / noise)) if signal else float("-inf")


def _cosine(a: Floats, b: Floats) -> float:
    if np.array_equal(a, b):
        return 1.0
    norm = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / norm if norm else 0.0


def _histogram(error: Floats) -> tuple[int, ...]:
    """Counts per decade of |difference|; zeros fall into the first bin, giants into the last."""
    edges = np.asarray(HISTOGRAM_EDGES, np.float64)
    decades = np.log10(np.maximum(error, 10.0 ** edges[0]))
    counts, _ = np.histogram(np.clip(decades, edges[0], edges[-1]), bins=edges)
    return tuple(int(count) for count in counts)


def _exact(
    out: Output,
    expected: Sequence[Outputs],
    actual: Sequence[Outputs],
    probes: Sequence[str],
    signature: Signature,
    function: str,
    tie_tolerance: float,
) -> TensorParity:
    counts = []
    for left, right in zip(expected, actual, strict=True):
        wrong = left[out.name] != right[out.name]
        if out.meaning == "top_k_ids" and wrong.any():
            wrong &= ~_ties(out, left, right, signature, tie_tolerance)
        counts.append(int(wrong.sum()))
    return TensorParity(
        function=function,
        output=out.name,
        probes=len(probes),
        elements=sum(each[out.name].size for each in expected),
        max_abs_error=0.0,
        max_rel_error=0.0,
        sqnr_db=float("inf"),
        cosine=1.0,
        mismatches=sum(counts),
        worst_probe=probes[int(np.argmax(counts))],
    )


def _ties(
    out: Output, expected: Outputs, actual: Outputs, signature: Signature, tolerance: float
) -> npt.NDArray[np.bool_]:
    """Where an id that differs is a tie by the module's rule; the ids' shape."""
    k = expected[out.name].shape[-1] if expected[out.name].ndim else 1
    ids = expected[out.name].reshape(-1, k).astype(np.int64)
    other = actual[out.name].reshape(-1, k).astype(np.int64)
    full = _full_scores(out, expected, signature, len(ids))
    names = [each.name for each in signature.outputs if each.meaning == "top_k_scores"]
    paired = [name for name in names if expected[name].size == ids.size and name in actual]
    ties = np.zeros(ids.shape, bool)
    for row in range(len(ids)):
        if full is not None:
            ties[row] = _ties_by_score(ids[row], other[row], full[row], tolerance)
        elif paired:
            scores = expected[paired[0]].reshape(-1, k)[row].astype(np.float64)
            own = actual[paired[0]].reshape(-1, k)[row].astype(np.float64)
            ties[row] = _ties_in_list(ids[row], other[row], scores, own, tolerance)
        values, counts = np.unique(other[row], return_counts=True)
        ties[row] &= ~np.isin(other[row], values[counts > 1])
    return ties.reshape(expected[out.name].shape)


def _full_scores(out: Output, expected: Outputs, signature: Signature, rows: int) -> Floats | None:
    for each in signature.outputs:
        same = each.meaning in SCORES and each.vocabulary is not None
        if same and each.vocabulary == out.vocabulary and expected[each.name].ndim > 1:
            scores = expected[each.name].astype(np.float64)
            scores = scores.reshape(-1, scores.shape[-1])
            return scores if len(scores) == rows else None
    return None


def _ties_by_score(ids: Ids, other: Ids, scores: Floats, tolerance: float) -> npt.NDArray[np.bool_]:
    valid = (other >= 0) & (other < len(scores))
    left, right = scores[ids], scores[np.where(valid, other, 0)]
    near: npt.NDArray[np.bool_] = np.abs(left - right) <= tolerance * _scale(left)
    return valid & near


def _ties_in_list(
    ids: Ids, other: Ids, scores: Floats, own: Floats, tolerance: float
) -> npt.NDArray[np.bool_]:
    near = tolerance * _scale(scores)
    place = {int(each): index for index, each in enumerate(ids)}
    ties = np.zeros(len(ids), bool)
    for index, each in enumerate(other):
        partner = place.get(int(each), len(ids) - 1)
        agrees = abs(own[index] - scores[index]) <= near
        ties[index] = agrees and abs(scores[partner] - scores[index]) <= near
    return ties


def _scale(scores: Floats) -> float:
    finite = scores[np.isfinite(scores)]
    return float(np.abs(finite).max(initial=0.0))
