"""Forms of a retrieval head over int8 rows on ONNX Runtime, beside what reading the rows takes.

    python benchmarks/onnx_retrieval_forms.py [--rows N ...] [--runs N] [--threads N] [--json]

The same vector and table in every form, in turns in one process; least and median of the runs. `same`
says how many of the 100 best are those of float32 arithmetic on the dequantized table, of as many bits:
forms that round the vector are not exact. The last form, and for 4 bits
`MatMulNBits` with float32 activations, is what `to_onnx` writes.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

from pocketrec.convert.lower.carry import Carrier
from pocketrec.convert.onnx.carry import carry_codes
from pocketrec.quantize import LinearTensor
from pocketrec.quantize.schemes.linear import Linear

WIDTH, BEST = 64, 100
MICROSOFT = "com.microsoft"


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    rows: int
    form: str
    least_ms: float
    median_ms: float
    codes_gb_s: float
    same: int | None


def model_of(nodes: list[Any], constants: dict[str, Any], output: int = TensorProto.INT64) -> Any:
    """A model of input `x` and output `y`, the 100 best unless `output` says otherwise."""
    graph = helper.make_graph(
        nodes,
        "form",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, WIDTH])],
        [helper.make_tensor_value_info("y", output, None)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid(MICROSOFT, 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10)


def best(scores: str) -> Any:
    return helper.make_node("TopK", [scores, "k"], ["values", "y"])


def forms(tensor: LinearTensor, narrow: LinearTensor) -> dict[str, Any]:
    """Name to model, of a table in 8 and in 4 bits."""
    codes, scales = tensor.codes, tensor.scales.astype(np.float32).reshape(1, -1)
    table, turned = tensor.dequantize(), np.ascontiguousarray(tensor.codes.T)
    k = {"k": np.array([BEST])}
    make = helper.make_node
    found = {
        "MatMul in float32, TopK": model_of(
            [make("MatMul", ["x", "t"], ["s"]), best("s")], {"t": np.ascontiguousarray(table.T), **k}
        )
    }
    unsigned = (codes.astype(np.int16) + 128).astype(np.uint8)
    halves = (narrow.codes + np.int8(8)).astype(np.uint8)
    packed = halves[:, 0::2] | (halves[:, 1::2] << 4)
    for bits, level, kept, made in (
        (8, 0, unsigned, tensor),
        (8, 4, unsigned, tensor),
        (4, 1, packed, narrow),
        (4, 4, packed, narrow),
    ):
        attributes = {"K": WIDTH, "N": len(codes), "bits": bits, "block_size": WIDTH, "accuracy_level": level}
        product = make("MatMulNBits", ["x", "c", "scales"], ["s"], domain=MICROSOFT, **attributes)
        arithmetic = "int8" if level == 4 else "float32"
        stored = {"c": kept.reshape(len(codes), 1, -1), "scales": made.scales.astype(np.float32).ravel(), **k}
        found[f"MatMulNBits, {bits} bits, {arithmetic} activations, TopK"] = model_of(
            [product, best("s")], stored
        )
    rounded = make("DynamicQuantizeLinear", ["x"], ["q", "qs", "qz"])
    for name, weights in (("uint8", np.ascontiguousarray(unsigned.T)), ("int8", turned)):
        product = make("MatMulInteger", ["q", "c", "qz"], ["y"])
        found[f"MatMulInteger alone, codes as {name}"] = model_of(
            [rounded, product], {"c": weights}, TensorProto.INT32
        )
    scaled = [
        rounded,
        make("MatMulInteger", ["q", "c", "qz"], ["i"]),
        make("Cast", ["i"], ["f"], to=TensorProto.FLOAT),
        make("Mul", ["f", "scales"], ["s"]),
        best("s"),
    ]
    found["MatMulInteger, scaled as a whole, TopK"] = model_of(scaled, {"c": turned, "scales": scales, **k})
    found["the exact scan of to_onnx"] = scan_of(tensor)
    return found


def scan_of(tensor: LinearTensor) -> Any:
    """What becomes of MatMul and TopK where the table is carried as codes."""
    nodes = [helper.make_node("MatMul", ["x", "t"], ["s"]), best("s")]
    table = np.ascontiguousarray(tensor.dequantize().T)
    model = model_of(nodes, {"t": table, "k": np.array([BEST])})
    model.graph.value_info.append(helper.make_tensor_value_info("s", TensorProto.FLOAT, [1, tensor.rows]))
    carry_codes(model, Carrier({tensor.name: tensor}))
    return model


def session_of(model: onnx.ModelProto, threads: int) -> Any:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def stream(codes: Any, threads: int) -> Callable[[], object]:
    """Reads all codes once, as fast as NumPy can."""
    parts = np.array_split(codes.reshape(-1), threads)
    pool = ThreadPoolExecutor(threads)
    return lambda: list(pool.map(np.max, parts))


def best_of(tensor: LinearTensor, x: Any) -> set[int]:
    """The rows of the 100 largest products in float32."""
    return set(np.argsort(-(tensor.dequantize() @ x[0]), kind="stable")[:BEST].tolist())


def measure(rows: int, runs: int, threads: int) -> list[Figure]:
    rng = np.random.default_rng(0)
    values = rng.standard_normal((rows, WIDTH), np.float32)
    tensor, narrow = (Linear(bits=bits).quantize("item", values) for bits in (8, 4))
    x = rng.standard_normal((1, WIDTH)).astype(np.float32)
    sessions = {name: session_of(model, threads) for name, model in forms(tensor, narrow).items()}
    answers = {name: made.run(["y"], {"x": x})[0] for name, made in sessions.items()}
    calls: dict[str, Callable[[], object]] = {
        name: lambda made=made: made.run(["y"], {"x": x}) for name, made in sessions.items()
    }
    calls["NumPy reads the codes"] = stream(tensor.codes, threads)
    samples: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(runs):
        for name, call in calls.items():
            start = time.perf_counter_ns()
            call()
            samples[name].append((time.perf_counter_ns() - start) / 1e6)
    exact = {bits: best_of(each, x) for bits, each in ((8, tensor), (4, narrow))}
    return [
        Figure(
            rows=rows,
            form=name,
            least_ms=min(taken),
            median_ms=statistics.median(taken),
            codes_gb_s=rows * WIDTH / min(taken) / 1e6,
            same=len(exact[4 if "4 bits" in name else 8] & set(answers[name].ravel().tolist()))
            if name in answers and answers[name].size == BEST
            else None,
        )
        for name, taken in samples.items()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--runs", type=int, default=40)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    figures = [each for rows in asked.rows for each in measure(rows, asked.runs, asked.threads)]
    if asked.json:
        print(json.dumps([asdict(each) for each in figures], indent=1))
        return
    print(f"onnxruntime {ort.__version__}, {asked.threads} thread(s), {asked.runs} runs")
    for each in figures:
        same = "" if each.same is None else f"{each.same} of {BEST}"
        print(
            f"{each.rows:9,} x {WIDTH}  {each.form:52} {each.least_ms:8.3f} ms {each.median_ms:8.3f} ms "
            f"{each.codes_gb_s:6.1f} GB/s  {same}"
        )


if __name__ == "__main__":
    main()
