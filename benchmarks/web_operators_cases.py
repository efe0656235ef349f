"""One-op models with inputs, for every operator of ONNX and those of ONNX Runtime's own that we write.

The models are those of ONNX's own backend tests, in opset 20 where the operator is that old, and once
more for every dtype that the operator's schema allows: one type variable at a time, the others as the
test has them.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper
from onnx.numpy_helper import from_array, to_array

OPSET = 20
NEWEST = 23  # that a recipe can ask for
MICROSOFT = "com.microsoft"
DTYPES = {
    "bool": TensorProto.BOOL,
    "float16": TensorProto.FLOAT16,
    "float32": TensorProto.FLOAT,
    "float64": TensorProto.DOUBLE,
    "int16": TensorProto.INT16,
    "int32": TensorProto.INT32,
    "int64": TensorProto.INT64,
    "int8": TensorProto.INT8,
    "uint16": TensorProto.UINT16,
    "uint32": TensorProto.UINT32,
    "uint64": TensorProto.UINT64,
    "uint8": TensorProto.UINT8,
}
_SCHEMA_NAMES = {
    f"tensor({'float' if n == 'float32' else 'double' if n == 'float64' else n})": n for n in DTYPES
}
_DIVIDES = frozenset({"Div", "Mod"})
_OF_NO_DTYPE = frozenset(
    {"Cast", "CastLike"}
)  # their tests hold NaN and infinities, of which no whole number is right


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A model of one operator.

    Attributes:
        op: with the domain in front where it is not the standard one.
        name: of the test.
        variable: the type variable that `dtype` is of; empty for the test as it stands.
        dtype: that of the variable.
        model: serialized.
        inputs: by name.
        drawn: whether it draws numbers, so that shapes alone can be compared.
    """

    op: str
    name: str
    variable: str
    dtype: str
    model: bytes
    inputs: dict[str, np.ndarray[Any, Any]]
    drawn: bool = False


def cases(opset: int = OPSET) -> Iterator[Case]:
    """All of them; the tests of an operator before its dtypes, and those of a younger one in `NEWEST`."""
    by_op: dict[str, list[Any]] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from onnx.backend.test.case.node import collect_testcases

        for test in collect_testcases(None):
            if _usable(test):
                by_op.setdefault(test.model.graph.node[0].op_type, []).append(test)
    for tests in by_op.values():
        found = [each for test in tests if (each := _as_it_stands(test, opset)) is not None]
        yield from found
        first = next((each for each in found if each.dtype == "float32"), next(iter(found), None))
        if first is not None and first.dtype == "float64":
            first = _converted(first, _of(first), first.variable, "float32") or first
        if first is not None:
            yield from _in_other_dtypes(first)
    for made in _own():
        yield made
        yield from _in_other_dtypes(made)


def _usable(test: Any) -> bool:
    nodes, (given, *_) = test.model.graph.node, test.data_sets or [((), ())]
    values = map(_array, (*given[0], *given[1]))
    plain = all(isinstance(each, np.ndarray) and each.dtype.name in DTYPES for each in values)
    trains = "training" in test.name
    return (
        len(nodes) == 1
        and not trains
        and nodes[0].domain == ""
        and nodes[0].op_type not in _OF_NO_DTYPE
        and plain
    )


def _array(value: Any) -> Any:
    """A test's value as an array; what is none, such as a sequence, stays what it is."""
    if isinstance(value, TensorProto):
        return to_array(value)
    return np.asarray(value) if isinstance(value, np.generic) else value


def _as_it_stands(test: Any, opset: int) -> Case | None:
    model = onnx.ModelProto()
    model.CopyFrom(test.model)
    names = [each.name for each in model.graph.input]
    inputs = dict(zip(names, map(_array, test.data_sets[0][0]), strict=False))
    node = model.graph.node[0]
    for version in dict.fromkeys((opset, NEWEST)):
        del model.opset_import[:]
        model.opset_import.append(helper.make_opsetid("", version))
        model.ir_version = 10
        try:
            onnx.checker.check_model(model, full_check=True)
        except Exception:  # noqa: S112 - the operator, or this form of it, is younger
            continue
        kind, dtype = _first_variable(node, version, inputs)
        return Case(
            op=node.op_type,
            name=test.name,
            variable=kind,
            dtype=dtype,
            model=model.SerializeToString(),
            inputs=inputs,
            drawn="Random" in node.op_type or node.op_type in ("Bernoulli", "Multinomial"),
        )
    return None


def _variables(node: onnx.NodeProto, version: int) -> tuple[dict[str, str], dict[str, list[str]]]:
    """The type variable of every value of the node, and the dtypes that each variable may have."""
    schema = onnx.defs.get_schema(node.op_type, version, node.domain)
    allowed = {
        each.type_param_str: [_SCHEMA_NAMES[t] for t in each.allowed_type_strs if t in _SCHEMA_NAMES]
        for each in schema.type_constraints
    }
    of = {}
    for names, formal in ((node.input, schema.inputs), (node.output, schema.outputs)):
        for place, name in enumerate(names):
            if name and formal:
                of[name] = formal[min(place, len(formal) - 1)].type_str
    return {name: each for name, each in of.items() if each in allowed}, allowed


def _of(case: Case) -> dict[str, str]:
    """The type variable of every value of a case's node."""
    model = onnx.ModelProto.FromString(case.model)
    return _variables(model.graph.node[0], model.opset_import[0].version)[0]


def _first_variable(node: onnx.NodeProto, version: int, inputs: dict[str, Any]) -> tuple[str, str]:
    of, _ = _variables(node, version)
    for name in (*node.input, *node.output):
        if name in of:
            return of[name], inputs[name].dtype.name if name in inputs else ""
    return "T", next((each.dtype.name for each in inputs.values()), "float32")


def _in_other_dtypes(case: Case) -> Iterator[Case]:
    model = onnx.ModelProto.FromString(case.model)
    node = model.graph.node[0]
    if len(model.graph.node) > 1 or any(each.type == onnx.AttributeProto.GRAPH for each in node.attribute):
        return
    if case.op.startswith(MICROSOFT):
        return
    version = model.opset_import[0].version
    of, allowed = _variables(node, version)
    for variable in dict.fromkeys(of.values()):
        for dtype in allowed[variable]:
            made = _converted(case, of, variable, dtype)
            if made is not None:
                yield made


def _converted(case: Case, of: dict[str, str], variable: str, dtype: str) -> Case | None:
    model = onnx.ModelProto.FromString(case.model)
    node = model.graph.node[0]
    for value in (*model.graph.input, *model.graph.output):
        if of.get(value.name) == variable:
            value.type.tensor_type.elem_type = DTYPES[dtype]
    for each in node.attribute:  # what says the dtype of what is made
        if variable == of.get(node.output[0]) and each.name in ("to", "dtype", "output_datatype"):
            each.i = DTYPES[dtype]
        elif variable == of.get(node.output[0]) and (node.op_type, each.name) == ("ConstantOfShape", "value"):
            each.t.CopyFrom(from_array(np.ones(1, dtype), "value"))
    inputs = {
        name: _as_dtype(array, dtype, divides=case.op in _DIVIDES and name == node.input[1])
        if of.get(name) == variable
        else array
        for name, array in case.inputs.items()
    }
    try:
        onnx.checker.check_model(model, full_check=True)
    except Exception:
        return None
    return Case(
        op=case.op,
        name=f"{case.name} {variable}={dtype}",
        variable=variable,
        dtype=dtype,
        model=model.SerializeToString(),
        inputs=inputs,
        drawn=case.drawn,
    )


def _as_dtype(array: np.ndarray[Any, Any], dtype: str, *, divides: bool) -> np.ndarray[Any, Any]:
    """The numbers in another dtype: fractions become whole numbers, without a sign where there is none."""
    kind = np.dtype(dtype)
    if kind.kind == "b":
        return array > 0 if array.dtype.kind != "b" else array
    if kind.kind in "iu" and array.dtype.kind == "f":
        array = np.round(np.clip(np.nan_to_num(array), -30, 30) * 3)
    if kind.kind == "u" and array.dtype.kind != "u":
        array = np.abs(array)
    made = np.asarray(array.astype(kind))
    return np.where(made == 0, np.ones_like(made), made) if divides and kind.kind in "iu" else made


def _own() -> Iterator[Case]:
    """What the backend tests lack: sequences, which no page can be handed, and ONNX Runtime's own."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((4, 6)).astype(np.float32)
    two = from_array(np.array(2, np.int64), "two")
    yield _case(
        "SplitToSequence", ["SplitToSequence x two > s axis=1", "ConcatFromSequence s > y axis=1"], x, two
    )
    yield _case(
        "ConcatFromSequence", ["SplitToSequence x two > s axis=0", "ConcatFromSequence s > y axis=0"], x, two
    )
    yield _case(
        "SequenceAt",
        ["SplitToSequence x two > s axis=0", "SequenceAt s one > y"],
        x,
        two,
        from_array(np.array(1, np.int64), "one"),
    )
    yield _case(
        "SequenceEmpty", ["SequenceEmpty > e", "SequenceInsert e x > s", "ConcatFromSequence s > y axis=0"], x
    )
    yield _case(
        "SequenceInsert",
        ["SequenceEmpty > e", "SequenceInsert e x > s", "ConcatFromSequence s > y axis=0"],
        x,
    )
    yield _case("SequenceLength", ["SplitToSequence x two > s axis=0", "SequenceLength s > y"], x, two)
    yield _loop(x)
    whole = np.arange(24, dtype=np.float32).reshape(4, 6)
    yield _case("Cast", ["Cast x > y to=1"], whole, variable="T1")
    yield _case("CastLike", ["CastLike x like > y"], whole, from_array(whole, "like"), variable="T1")
    for op in ("RandomNormalLike", "RandomUniformLike"):
        yield _case(op, [f"{op} x > y"], x, drawn=True)
    yield _case("Multinomial", ["Multinomial x > y sample_size=3"], x, drawn=True)
    yield from _of_codes(rng)
    bias = from_array(rng.standard_normal(6).astype(np.float32), "bias")
    for op in ("Gelu", "QuickGelu", "FastGelu"):
        yield _case(op, [f"{op} x > y"], x, domain=MICROSOFT)
    yield _case("BiasGelu", ["BiasGelu x bias > y"], x, bias, domain=MICROSOFT)
    yield _case("FusedMatMul", ["FusedMatMul x x > y transB=1"], x, domain=MICROSOFT)
    yield _case(
        "SkipLayerNormalization", ["SkipLayerNormalization x x bias > y"], x[None], bias, domain=MICROSOFT
    )


def _loop(x: np.ndarray[Any, Any]) -> Case:
    """Three times `x + x`, of which the loop hands on one value."""
    info = helper.make_tensor_value_info
    body = helper.make_graph(
        [helper.make_node("Add", ["v", "x"], ["w"]), helper.make_node("Identity", ["going"], ["on"])],
        "body",
        [
            info("i", TensorProto.INT64, []),
            info("going", TensorProto.BOOL, []),
            info("v", TensorProto.FLOAT, x.shape),
        ],
        [info("on", TensorProto.BOOL, []), info("w", TensorProto.FLOAT, x.shape)],
    )
    graph = helper.make_graph(
        [helper.make_node("Loop", ["three", "", "x"], ["y"], body=body)],
        "one",
        [info("x", TensorProto.FLOAT, x.shape)],
        [info("y", TensorProto.FLOAT, x.shape)],
        [from_array(np.array(3, np.int64), "three")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10)
    return Case(
        op="Loop",
        name="Loop",
        variable="V",
        dtype="float32",
        model=model.SerializeToString(),
        inputs={"x": x},
    )


def _of_codes(rng: np.random.Generator) -> Iterator[Case]:
    """The two operators that read codes in blocks, of 4 and 8 bits."""
    ids = np.array([3, 0, 7], np.int64)
    left = rng.standard_normal((2, 32)).astype(np.float32)
    for bits in (4, 8):
        packed = rng.integers(0, 256, (8, 32 * bits // 8)).astype(np.uint8)
        codes = from_array(packed, "codes")
        scales = from_array(rng.random((8, 2)).astype(np.float32) + 1, "scales")
        yield _case(
            "GatherBlockQuantized",
            [f"GatherBlockQuantized codes x scales > y bits={bits} block_size=16 quantize_axis=1"],
            ids,
            codes,
            scales,
            domain=MICROSOFT,
            name=f"{bits} bits",
        )
        blocks = from_array(packed.reshape(8, 2, -1), "codes")
        flat = from_array(rng.random(16).astype(np.float32) + 1, "scales")
        yield _case(
            "MatMulNBits",
            [f"MatMulNBits x codes scales > y bits={bits} block_size=16 K=32 N=8 accuracy_level=1"],
            left,
            blocks,
            flat,
            domain=MICROSOFT,
            name=f"{bits} bits",
        )


def _case(
    op: str,
    lines: list[str],
    x: np.ndarray[Any, Any],
    *constants: TensorProto,
    domain: str = "",
    name: str = "",
    drawn: bool = False,
    variable: str = "T",
) -> Case:
    """A model of `lines`: operator, inputs, `>`, output, attributes; `x` goes in and `y` comes out."""
    nodes = []
    for line in lines:
        left, _, right = line.partition(">")
        kind, *given = left.split()
        out, *attributes = right.split()
        pairs = {key: int(value) for key, value in (each.split("=") for each in attributes)}
        own = domain if kind == op else ""
        nodes.append(helper.make_node(kind, given, [out], domain=own, **pairs))
    graph = helper.make_graph(
        nodes,
        "one",
        [helper.make_tensor_value_info("x", helper.np_dtype_to_tensor_dtype(x.dtype), x.shape)],
        [onnx.ValueInfoProto(name="y")],
        list(constants),
    )
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(MICROSOFT, 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    if not domain:
        model = onnx.shape_inference.infer_shapes(model)
    return Case(
        op=f"{domain}.{op}" if domain else op,
        name=f"{op} {name}".strip(),
        variable=variable,
        dtype=x.dtype.name if not domain or x.dtype.kind == "f" else "float32",
        model=model.SerializeToString(),
        inputs={"x": x},
        drawn=drawn,
    )
