"""Which form of a compressed table ONNX Runtime reads fastest on the CPU, per shape.

    python benchmarks/onnx_forms.py [--json] [--runs N] [--threads N]

Every form of one shape is timed in turns in the same process; figures are the least and the median
of its runs, in microseconds, and the least as a ratio to float32. `max_abs_error` is against float32
arithmetic on the very same dequantized numbers: forms that quantize activations as well show it.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

MICROSOFT = "com.microsoft"
LOOKUPS = [(1683, 64, 50), (100_000, 64, 200), (1_000_000, 64, 50)]
PRODUCTS = [(256, 64, 50), (1683, 64, 1), (100_000, 64, 1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """One way to write the same operation."""

    name: str
    nodes: list[Any]
    constants: dict[str, Any]
    bits: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    operation: str
    shape: str
    form: str
    size_bytes: int
    least_us: float
    median_us: float
    ratio_to_float32: float
    max_abs_error: float


def node(op: str, inputs: list[str], output: str, **attributes: Any) -> Any:
    domain = MICROSOFT if op in ("GatherBlockQuantized", "MatMulNBits") else ""
    return helper.make_node(op, inputs, [output], domain=domain, **attributes)


def packed(codes: Any) -> Any:
    return (codes[:, 0::2] | (codes[:, 1::2] << 4)).astype(np.uint8)


def lookups(rows: int, width: int, rng: np.random.Generator) -> Iterator[Form]:
    codes = rng.integers(0, 256, (rows, width)).astype(np.uint8)
    scales = rng.uniform(0.5, 1, (rows, 1)).astype(np.float32) / 256
    for bits in (8, 4):
        kept = codes if bits == 8 else codes & 15
        zero = 1 << (bits - 1)
        table = (kept.astype(np.float32) - zero) * scales
        yield Form(name="float32", nodes=[node("Gather", ["t", "x"], "y")], constants={"t": table}, bits=bits)
        yield Form(
            name="Gather codes, Cast, Sub, Mul"
            if bits == 8
            else "Gather bytes, shift, Concat, Cast, Sub, Mul",
            nodes=[
                node("Gather", ["c", "x"], "g"),
                *(
                    []
                    if bits == 8
                    else [
                        node("BitwiseAnd", ["g", "mask"], "low"),
                        node("BitShift", ["g", "four"], "high", direction="RIGHT"),
                        node("Concat", ["low", "high"], "both", axis=-1),
                    ]
                ),
                node("Cast", ["g" if bits == 8 else "both"], "f", to=TensorProto.FLOAT),
                node("Sub", ["f", "z"], "s"),
                node("Gather", ["scales", "x"], "k"),
                node("Mul", ["s", "k"], "y"),
            ],
            constants={
                "c": kept if bits == 8 else kept[:, : width // 2] | (kept[:, width // 2 :] << 4),
                "z": np.float32(zero),
                "scales": scales,
                **({} if bits == 8 else {"mask": np.uint8(15), "four": np.uint8(4)}),
            },
            bits=bits,
        )
        yield Form(
            name="GatherBlockQuantized",
            nodes=[
                node(
                    "GatherBlockQuantized",
                    ["c", "x", "scales"],
                    "y",
                    bits=bits,
                    block_size=width,
                    gather_axis=0,
                    quantize_axis=1,
                )
            ],
            constants={"c": kept if bits == 8 else packed(kept), "scales": scales},
            bits=bits,
        )


def products(rows: int, width: int, rng: np.random.Generator) -> Iterator[Form]:
    codes = rng.integers(0, 256, (rows, width)).astype(np.uint8)
    scales = rng.uniform(0.5, 1, (rows, 1)).astype(np.float32) / 256
    for bits in (8, 4):
        kept = codes if bits == 8 else codes & 15
        zero = 1 << (bits - 1)
        table = (kept.astype(np.float32) - zero) * scales
        yield Form(
            name="float32",
            nodes=[node("MatMul", ["x", "t"], "y")],
            constants={"t": table.T.copy()},
            bits=bits,
        )
        blob = (kept if bits == 8 else packed(kept)).reshape(rows, 1, -1)
        for level in (0, 1, 4):
            yield Form(
                name=f"MatMulNBits, accuracy_level {level}",
                nodes=[
                    node(
                        "MatMulNBits",
                        ["x", "c", "scales"],
                        "y",
                        K=width,
                        N=rows,
                        bits=bits,
                        block_size=width,
                        accuracy_level=level,
                    )
                ],
                constants={"c": blob, "scales": scales.ravel()},
                bits=bits,
            )
        yield Form(
            name="Cast, Sub, Mul, Transpose, MatMul (folded when loaded)",
            nodes=[
                node("Cast", ["c"], "f", to=TensorProto.FLOAT),
                node("Sub", ["f", "z"], "s"),
                node("Mul", ["s", "scales"], "w"),
                node("Transpose", ["w"], "wt", perm=[1, 0]),
                node("MatMul", ["x", "wt"], "y"),
            ],
            constants={"c": kept, "scales": scales, "z": np.float32(zero)},
            bits=bits,
        )
        if bits == 8:
            signed = (kept.astype(np.int16) - 128).astype(np.int8).T.copy()
            yield Form(
                name="DequantizeLinear, MatMul",
                nodes=[
                    node("DequantizeLinear", ["c", "scales"], "w", axis=1),
                    node("MatMul", ["x", "w"], "y"),
                ],
                constants={"c": signed, "scales": scales.ravel()},
                bits=bits,
            )
            yield Form(
                name="DynamicQuantizeLinear, MatMulInteger",
                nodes=[
                    helper.make_node("DynamicQuantizeLinear", ["x"], ["q", "qs", "qz"]),
                    node("MatMulInteger", ["q", "c", "qz"], "i"),
                    node("Cast", ["i"], "f", to=TensorProto.FLOAT),
                    node("Mul", ["scales", "qs"], "k"),
                    node("Mul", ["f", "k"], "y"),
                ],
                constants={"c": signed, "scales": scales.reshape(1, -1)},
                bits=bits,
            )


def session(form: Form, x: Any, threads: int) -> tuple[Any, int]:
    constants = [numpy_helper.from_array(np.asarray(v), name) for name, v in form.constants.items()]
    kind = TensorProto.FLOAT if x.dtype == np.float32 else TensorProto.INT32
    graph = helper.make_graph(
        form.nodes,
        "form",
        [helper.make_tensor_value_info("x", kind, list(x.shape))],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        constants,
    )
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid(MICROSOFT, 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    made = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return made, sum(np.asarray(each).nbytes for each in form.constants.values())


def measure(operation: str, shape: str, forms: list[Form], x: Any, runs: int, threads: int) -> list[Figure]:
    sessions = [session(form, x, threads) for form in forms]
    outputs = [made.run(None, {"x": x})[0] for made, _ in sessions]
    samples: list[list[float]] = [[] for _ in forms]
    for _ in range(runs):
        for place, (made, _) in enumerate(sessions):
            start = time.perf_counter_ns()
            made.run(None, {"x": x})
            samples[place].append((time.perf_counter_ns() - start) / 1000)
    base = {form.bits: place for place, form in enumerate(forms) if form.name == "float32"}
    return [
        Figure(
            operation=operation,
            shape=f"{shape}, {form.bits} bit",
            form=form.name,
            size_bytes=sessions[place][1],
            least_us=min(samples[place]),
            median_us=statistics.median(samples[place]),
            ratio_to_float32=min(samples[place]) / min(samples[base[form.bits]]),
            max_abs_error=float(np.abs(outputs[place] - outputs[base[form.bits]]).max()),
        )
        for place, form in enumerate(forms)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--threads", type=int, default=1)
    asked = parser.parse_args()
    rng = np.random.default_rng(0)
    figures: list[Figure] = []
    for rows, width, ids in LOOKUPS:
        x = rng.integers(0, rows, (1, ids)).astype(np.int32)
        forms = list(lookups(rows, width, rng))
        figures += measure("lookup", f"{ids} of {rows} x {width}", forms, x, asked.runs, asked.threads)
    for rows, width, batch in PRODUCTS:
        x = rng.standard_normal((batch, width)).astype(np.float32)
        forms = list(products(rows, width, rng))
        figures += measure("product", f"{batch} x {width} by {rows}", forms, x, asked.runs, asked.threads)
    if asked.json:
        print(json.dumps([asdict(each) for each in figures], indent=1))
        return
    print(f"onnxruntime {ort.__version__}, {asked.threads} thread(s), {asked.runs} runs")
    for each in figures:
        print(
            f"{each.operation:8} {each.shape:28} {each.form:52} {each.size_bytes / 1e6:8.2f} MB "
            f"{each.least_us:9.1f} us {each.median_us:9.1f} us {each.ratio_to_float32:6.2f}x  "
            f"err {each.max_abs_error:.1e}"
        )


if __name__ == "__main__":
    main()
