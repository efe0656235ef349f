"""Functions of numbers as torch.onnx leaves them loose, with PyTorch's numbers at 0, far out and at the ends.

torch.onnx writes `log(1 + x)` and `exp(x) - 1` for functions that exist to avoid these, divides before it
takes a remainder, and leaves a bound away that ONNX Runtime then takes for the largest finite number.
ONNX Runtime's Sigmoid is exact to a rounding of 1, and 0 below -18; where what reads it asks for more, it is
written in parts.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import torch
from onnx.numpy_helper import from_array

Translation = Callable[..., Any]

# What tells a small share from a smaller one, and what hands it on as it is or moved by a constant.
_ASKING = frozenset({"Log", "Pow", "Reciprocal", "Sqrt"})
_HANDING = frozenset(
    {"Add", "Cast", "Clip", "Concat", "Expand", "Gather", "Max", "Min", "Reshape", "Slice", "Squeeze", "Sub"}
    | {"Transpose", "Unsqueeze"}
)


def number_table() -> dict[Callable[..., Any], Translation]:
    """What torch.onnx writes for functions of numbers."""
    aten: Any = torch.ops.aten
    return {
        aten.log1p.default: log1p,
        aten.expm1.default: expm1,
        aten.elu.default: elu,
        aten.celu.default: celu,
        **dict.fromkeys((aten.remainder.Tensor, aten.remainder.Scalar), remainder),
        **dict.fromkeys((aten.div.Tensor_mode, aten.div.Scalar_mode), divide),
        aten.pow.Tensor_Scalar: power,
        aten.clamp.default: clamp,
        aten.clamp_min.default: lambda x, low: clamp(x, low),
        aten.clamp_max.default: lambda x, high: clamp(x, None, high),
    }


def _op() -> Any:
    from onnxscript import opset18

    return opset18


def _number(value: Any, like: Any) -> Any:
    """A number, or a tensor, in the dtype of `like`."""
    return _op().CastLike(value, like)


def log1p(x: Any) -> Any:
    """`log(1 + x)`, with what rounding 1 + x loses of a small x given back."""
    op, one = _op(), _number(1.0, x)
    whole = op.Add(x, one)
    lost = op.Div(op.Sub(op.Sub(whole, one), x), whole)
    return op.Sub(op.Log(whole), op.Where(op.Less(op.Abs(x), one), lost, _number(0.0, x)))


def expm1(x: Any) -> Any:
    """`exp(x) - 1` as `tanh(x / 2) · (exp(x) + 1)`, which keeps a small x."""
    op = _op()
    return op.Mul(op.Tanh(op.Mul(x, _number(0.5, x))), op.Add(op.Exp(x), _number(1.0, x)))


def elu(x: Any, alpha: float = 1.0, scale: float = 1.0, input_scale: float = 1.0) -> Any:
    """`scale` times `x` above 0, else `scale · alpha · (exp(input_scale · x) - 1)`."""
    op = _op()
    steep = x if input_scale == 1 else op.Mul(x, _number(float(input_scale), x))
    below = expm1(steep)
    below = below if alpha == 1 else op.Mul(below, _number(float(alpha), x))
    whole = op.Where(op.Greater(x, _number(0.0, x)), x, below)
    return whole if scale == 1 else op.Mul(whole, _number(float(scale), x))


def celu(x: Any, alpha: float = 1.0) -> Any:
    """An ELU that is as steep at 0 whatever alpha is."""
    return elu(x, alpha, 1.0, 1 / alpha)


def remainder(x: Any, y: Any) -> Any:
    """Of the divisor's sign, without a quotient that is rounded."""
    op = _op()
    y = _number(y, x)
    if not x.dtype.is_floating_point():
        return op.Mod(x, y)
    left, other_sign = _remainder(x, y)
    return op.Where(other_sign, op.Add(left, y), left)


def _remainder(x: Any, y: Any) -> tuple[Any, Any]:
    """The remainder that has the sign of `x`, and where that is not the sign of `y`."""
    op, zero = _op(), _number(0.0, x)
    left = op.Mod(x, y, fmod=1)
    other_sign = op.Xor(op.Less(left, zero), op.Less(y, zero))
    return left, op.And(op.Not(op.Equal(left, zero)), other_sign)


def divide(x: Any, y: Any, rounding_mode: str | None = None) -> Any:
    """The quotient, rounded down by its remainder as in PyTorch; in other modes as torch.onnx writes it."""
    from onnxscript.function_libs.torch_lib.ops.core import aten_div_mode

    if rounding_mode != "floor" or not x.dtype.is_floating_point():
        return aten_div_mode(x, y, rounding_mode=rounding_mode)
    op = _op()
    y = _number(y, x)
    left, other_sign = _remainder(x, y)
    quotient = op.Sub(op.Div(op.Sub(x, left), y), _number(op.Cast(other_sign, to=1), x))
    return op.Where(op.Equal(y, _number(0.0, x)), op.Div(x, y), op.Round(quotient))


def power(x: Any, exponent: float) -> Any:
    """PyTorch takes roots for these exponents, which differ from powers below 0."""
    from onnxscript.function_libs.torch_lib.ops.core import aten_pow_tensor_scalar

    op = _op()
    roots = {0.5: op.Sqrt, -0.5: lambda x: op.Reciprocal(op.Sqrt(x)), -1.0: op.Reciprocal}
    root = roots.get(exponent) if x.dtype.is_floating_point() else None
    return aten_pow_tensor_scalar(x, exponent) if root is None else root(x)


def clamp(x: Any, low: Any = None, high: Any = None) -> Any:
    """Within the bounds that are given, infinities too."""
    if x.dtype.is_floating_point():
        low = -math.inf if low is None else float(low)
        high = math.inf if high is None else float(high)
    bounds = (None if each is None else _number(each, x) for each in (low, high))
    return _op().Clip(x, *bounds)


def exact_sigmoids(graph: onnx.GraphProto) -> None:
    """Writes every Sigmoid of which a logarithm, a root or a quotient is taken as `1 / (1 + exp(-x))`."""
    readers = defaultdict[str, list[onnx.NodeProto]](list)
    for node in graph.node:
        for name in node.input:
            readers[name].append(node)
    nodes: list[onnx.NodeProto] = []
    one = f"{graph.name}_one_of_sigmoid"
    for node in graph.node:
        asked = node.op_type == "Sigmoid" and _is_asked(node.output[0], readers)
        nodes.extend(_sigmoid(node, one) if asked else (node,))
    if len(nodes) > len(graph.node):
        del graph.node[:]
        graph.node.extend(nodes)
        graph.initializer.append(from_array(np.asarray(1, np.float32), one))


def _is_asked(name: str, readers: dict[str, list[onnx.NodeProto]]) -> bool:
    """Whether a value reaches, as it is or moved, what tells small numbers apart."""
    seen, waiting = {name}, [name]
    while waiting:
        value = waiting.pop()
        for node in readers[value]:
            if node.op_type in _ASKING or (node.op_type == "Div" and node.input[1] == value):
                return True
            if node.op_type in _HANDING and node.output[0] not in seen:
                seen.add(node.output[0])
                waiting.append(node.output[0])
    return False


def _sigmoid(node: onnx.NodeProto, one: str) -> list[onnx.NodeProto]:
    """The same value by other ops; the metadata of the node tells where each stems from."""
    (result,) = node.output
    names = [f"{result}_{step}" for step in ("negated", "power", "whole")]
    made = [
        onnx.helper.make_node("Neg", [node.input[0]], [names[0]]),
        onnx.helper.make_node("Exp", [names[0]], [names[1]]),
        onnx.helper.make_node("Add", [names[1], one], [names[2]]),
        onnx.helper.make_node("Div", [one, names[2]], [result]),
    ]
    for each in made:
        each.metadata_props.extend(node.metadata_props)
    return made
