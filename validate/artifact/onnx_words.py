"""ONNX's ops and their operands in Core ML's words, which a graph uses for every format."""

from __future__ import annotations

from collections.abc import Iterable

# ONNX's op: the name in Core ML's words, and the names of its operands.
_NAMES: dict[str, tuple[str, tuple[str, ...]]] = {
    **{name: (name.lower(), ("x", "y")) for name in ("Add", "Sub", "Mul", "Mod", "Pow", "MatMul", "Equal")},
    **{name: (name.lower(), ("x",)) for name in ("Cast", "Softmax", "Floor", "Round", "Exp", "Transpose")},
    **{name: (name.lower(), ("x",)) for name in ("Identity", "Reshape", "Squeeze", "Tile", "Expand", "Clip")},
    "Div": ("real_div", ("x", "y")),
    "Gather": ("gather", ("x", "indices")),
    "GatherND": ("gather_nd", ("x", "indices")),
    "GatherBlockQuantized": ("gather_block_quantized", ("x", "indices", "scales", "zero_points")),
    "GatherElements": ("gather_along_axis", ("x", "indices")),
    "TopK": ("topk", ("x", "k")),
    "ArgMax": ("reduce_argmax", ("x",)),
    "ArgMin": ("reduce_argmin", ("x",)),
    "ReduceMax": ("reduce_max", ("x",)),
    "LogSoftmax": ("softmax", ("x",)),
    "Where": ("select", ("cond", "a", "b")),
    "Unsqueeze": ("expand_dims", ("x",)),
    "Slice": ("slice_by_index", ("x",)),
    "Split": ("split", ("x",)),
    "Flatten": ("flatten2d", ("x",)),
    "Max": ("maximum", ("x", "y")),
    "Min": ("minimum", ("x", "y")),
    "Gemm": ("linear", ("x", "weight", "bias")),
    "GreaterOrEqual": ("greater_equal", ("x", "y")),
    "Greater": ("greater", ("x", "y")),
    "Less": ("less", ("x", "y")),
    "LessOrEqual": ("less_equal", ("x", "y")),
    "Or": ("logical_or", ("x", "y")),
    "And": ("logical_and", ("x", "y")),
    "Not": ("logical_not", ("x",)),
    "BitwiseXor": ("bitwise_xor", ("x", "y")),
    "BitwiseAnd": ("bitwise_and", ("x", "y")),
    "BitwiseOr": ("bitwise_or", ("x", "y")),
}
_VARIADIC = {"Concat": "concat"}


def in_core_ml_words(op_type: str, inputs: Iterable[str]) -> tuple[str, dict[str, tuple[str, ...]]]:
    """The op and its operands by name; ONNX's own, with numbered operands, where Core ML has none."""
    if op_type in _VARIADIC:
        return _VARIADIC[op_type], {"values": tuple(each for each in inputs if each)}
    kind, names = _NAMES.get(op_type, (op_type, ()))
    bound = {number: each for number, each in enumerate(inputs) if each}
    return kind, {
        names[number] if number < len(names) else str(number): (each,) for number, each in bound.items()
    }
