"""Hazards of arithmetic: saturated and overflowing integers, masks and scores beyond float16."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pocketrec.validate.artifact.graph import Graph, Op
from pocketrec.validate.lint.finding import Hit, Rule, Severity
from pocketrec.validate.lint.paths import ID_PATH, upstream

_INT32 = np.iinfo(np.int32)
_FLOAT16_LARGEST = 65_504.0
# Between one power of two and the next, float16 has this many numbers.
_FLOAT16_STEPS = 1_024
_SMALL = 1 << 20  # constants above this many elements are tables, no masks or multipliers

_MIXING = ("mul", "add", "sub", "bitwise_xor", "bitwise_and", "bitwise_or", "real_div", "pow")
_REDUCING = ("mod", "floor_div")
_MASK_PATH = {**ID_PATH, "mul": ("x", "y"), "real_div": ("x",), "fill": ("value",), "fill_like": ("value",)}


def _integers(graph: Graph, op: Op) -> Iterator[tuple[str, np.ndarray]]:
    """Names and numbers of the op's constant integer operands."""
    for name in op.operands:
        numbers = graph.numbers(name, limit=_SMALL)
        if numbers is not None and np.asarray(numbers).dtype.kind in "iu":
            yield name, np.asarray(numbers)


def saturated_constant(graph: Graph) -> Iterator[Hit]:
    """A hit where arithmetic uses the largest or smallest int32, as what a wider constant was cut to."""
    for op in graph.of_kind(*_MIXING, *_REDUCING):
        for name, numbers in _integers(graph, op):
            if graph.tensor(name).dtype != "int32":
                continue  # a wider one holds what it says
            cut = [int(each) for each in (_INT32.max, _INT32.min) if (numbers == each).any()]
            if cut:
                severity: Severity = "error" if op.kind in _MIXING else "warning"
                message = f"{op.kind} with the constant {cut[0]}, where int32 ends"
                yield Hit(severity=severity, place=op.name, message=message)


def product_beyond_int32(graph: Graph) -> Iterator[Hit]:
    """A hit where a 32-bit id is multiplied by so much that it wraps before it is reduced."""
    for op in graph.of_kind("mul"):
        if not op.outputs or graph.tensor(op.outputs[0]).dtype != "int32":
            continue
        largest = max((int(np.abs(n.astype(np.int64)).max()) for _, n in _integers(graph, op)), default=0)
        if largest > np.iinfo(np.uint16).max and largest not in (_INT32.max, -int(_INT32.min)):
            message = (
                f"an int32 is multiplied by {largest:,}: it wraps for ids above {_INT32.max // largest:,}"
            )
            yield Hit(severity="warning", place=op.name, message=message)


def mask_beyond_float16(graph: Graph) -> Iterator[Hit]:
    """A hit where a constant beyond float16 masks what a float16 softmax or maximum reads."""
    for op in graph.of_kind("softmax", "reduce_max", "reduce_log_sum_exp"):
        scores = graph.operand(op, "x")
        if scores is None or scores.dtype != "float16":
            continue
        for maker, number in _masks(graph, scores.name):
            multiplied = maker.kind == "mul"
            message = f"{op.kind} in float16 reads what {maker.name} ({maker.kind}) masks with {number:.4g}"
            message += ", and 0 times infinity is NaN" if multiplied else ""
            yield Hit(severity="error" if multiplied else "warning", place=op.name, message=message)
            break


def _masks(graph: Graph, scores: str) -> Iterator[tuple[Op, float]]:
    """Ops on the way to the scores that use a constant beyond float16, and the constant."""
    for value in upstream(graph, scores, _MASK_PATH):
        op = graph.makers.get(value.name)
        if op is None or op.kind not in _MASK_PATH:
            continue
        for name in (name for operand in _MASK_PATH[op.kind] for name in op.inputs.get(operand, ())):
            numbers = graph.numbers(name, limit=_SMALL)
            if numbers is not None and np.asarray(numbers).dtype.kind == "f":
                lowest = float(np.min(np.asarray(numbers, dtype=np.float64)))
                if lowest < -_FLOAT16_LARGEST:
                    yield op, lowest


def float16_scores(graph: Graph) -> Iterator[Hit]:
    """A hit where more items are ranked by float16 scores than float16 can tell apart."""
    for op in graph.of_kind("topk", "argsort", "reduce_argmax"):
        scores, count = graph.operand(op, "x"), graph.extent(op, default_axis=-1)
        if scores is not None and scores.dtype == "float16" and (count or 0) > _FLOAT16_STEPS:
            message = f"{count:,} items ranked by float16 scores"
            yield Hit(severity="warning", place=op.name, message=message)


RULES: dict[str, Rule[Graph]] = {
    "saturated-constant": Rule(
        check=saturated_constant,
        consequence="a wider constant was cut to int32 on conversion, so hashes and ids become others",
        remedy="compute hashes before the model, or choose constants that fit in int32",
    ),
    "product-beyond-int32": Rule(
        check=product_beyond_int32,
        consequence="the product wraps, so the hash differs from the one of training in int64",
        remedy="compute hashes before the model, or store the hash of every id as a table",
    ),
    "mask-beyond-float16": Rule(
        check=mask_beyond_float16,
        consequence="the mask is -inf in float16, so a row that is masked throughout becomes NaN",
        remedy="mask with -3e4, which float16 holds, or keep the softmax in float32",
    ),
    "float16-scores": Rule(
        check=float16_scores,
        consequence="scores tie and swap near the top, because float16 has 1,024 steps from one power of "
        "two to the next",
        remedy="keep the last product and the ranking in float32",
    ),
}
