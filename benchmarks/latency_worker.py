"""One rival of `latency.py` in a process of its own: prepares, then answers commands line by line.

<- {"ready": true, "size_bytes": ..., "versions": ...}     or {"missing": reason}
-> run QUERY TIMES      <- {"ns": [...]}
-> answer               <- {"best": [[...], ...]}           the ten best of every query
-> quit
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Query = dict[str, Any]


class Call:
    """A rival that is ready. `prepare` gives a query in the types that it takes, which is not timed."""

    def __init__(self, run: Callable[[Any], list[Any]], prepare: Callable[[Query], Any]) -> None:
        self.run, self.prepare = run, prepare


class Job:
    """What a rival is given: a model, an example, a folder of its own, and a number of threads."""

    def __init__(self, kind: str, rows: int, folder: Path, threads: int) -> None:
        import torch
        from latency_models import make, queries

        torch.set_num_threads(threads)
        self.kind, self.rows, self.folder, self.threads = kind, rows, folder, threads
        self.module = make(kind, rows)
        self.queries = queries(kind, rows)
        self.example = tuple(torch.from_numpy(each) for each in self.queries[0].values())
        self.size_bytes = 4 * sum(each.numel() for each in self.module.parameters())

    def measure_files(self, *paths: Path) -> None:
        self.size_bytes = sum(each.stat().st_size for each in paths if each.exists())


def torch_call(function: Any) -> Call:
    import torch

    def run(query: list[Any]) -> list[Any]:
        with torch.inference_mode():
            found = function(*query)
        return list(found) if isinstance(found, tuple) else [found]

    return Call(run, tensors)


def tensors(query: Query) -> list[Any]:
    import torch

    return [torch.from_numpy(each) for each in query.values()]


def eager(job: Job) -> Call:
    return torch_call(job.module)


def compiled(job: Job) -> Call:
    import torch

    return torch_call(torch.compile(job.module))


def onnx_call(path: Path, threads: int, narrow: bool = False) -> Call:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = threads, 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    names = [each.name for each in session.get_inputs()]

    def prepare(query: Query) -> Query:
        values = (
            each.astype(np.int32) if narrow and each.dtype == np.int64 else each for each in query.values()
        )
        return dict(zip(names, values, strict=True))

    return Call(lambda query: list(session.run(None, query)), prepare)


def exported_onnx(job: Job) -> Path:
    import torch

    path = job.folder / "plain.onnx"
    torch.onnx.export(job.module, job.example, str(path), dynamo=True, verbose=False)
    return path


def plain_onnx(job: Job) -> Call:
    path = exported_onnx(job)
    job.measure_files(path, path.with_name(f"{path.name}.data"))
    return onnx_call(path, job.threads)


def quantized_onnx(job: Job) -> Call:
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    whole, path = job.folder / "whole.onnx", job.folder / "quantized.onnx"
    onnx.save(onnx.load(exported_onnx(job)), whole)  # the tool wants one file
    quantize_dynamic(str(whole), str(path), weight_type=QuantType.QInt8)
    job.measure_files(path)
    return onnx_call(path, job.threads)


def openvino_model(job: Job) -> Any:
    import openvino

    return openvino.convert_model(
        job.module, example_input=job.example, input=[each.shape for each in job.example]
    )


def openvino_call(model: Any, job: Job) -> Call:
    import openvino

    path = job.folder / "openvino.xml"
    openvino.save_model(model, str(path), compress_to_fp16=False)
    job.measure_files(path, path.with_suffix(".bin"))
    settings = {
        "INFERENCE_NUM_THREADS": job.threads,
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "f32",
    }
    compiled_model = openvino.Core().compile_model(model, "CPU", settings)
    request = compiled_model.create_infer_request()

    def run(query: list[Any]) -> list[Any]:
        found = request.infer(query)
        return [found[place] for place in range(len(compiled_model.outputs))]

    return Call(run, lambda query: list(query.values()))


def openvino_float(job: Job) -> Call:
    return openvino_call(openvino_model(job), job)


def openvino_int8(job: Job) -> Call:
    import nncf

    return openvino_call(
        nncf.compress_weights(openvino_model(job), mode=nncf.CompressWeightsMode.INT8_SYM), job
    )


def pocketrec_int8(job: Job) -> Call:
    return pocketrec(job, "int8")


def pocketrec_float(job: Job) -> Call:
    return pocketrec(job, None)


def pocketrec(job: Job, preset: str | None) -> Call:
    import torch

    from pocketrec.convert.capture.capture import capture
    from pocketrec.convert.onnx.lower import to_onnx
    from pocketrec.quantize import Plan, compress
    from pocketrec.quantize.schemes.linear import Linear

    tables = [name for name, each in job.module.named_parameters() if each.ndim == 2 and len(each) >= 1000]
    plan = Plan(tensors=dict.fromkeys(tables, Linear())) if preset else Plan(tensors={})
    module, codes = compress(job.module, plan)
    names = list(job.queries[0])
    probes = [
        {name: torch.cat([torch.from_numpy(each[name]) for each in job.queries[:size]]) for name in names}
        for size in (2, 3, 1)
    ]
    probes = [
        {name: each.int() if not each.is_floating_point() else each for name, each in probe.items()}
        for probe in probes
    ]
    path = to_onnx(capture(module, contract(job), "main", probes), job.folder / "ours.onnx", tensors=codes)
    job.measure_files(path, path.with_name(f"{path.name}.data"))
    return onnx_call(path, job.threads, narrow=True)


def contract(job: Job) -> Any:
    from latency_models import CANDIDATES, CATEGORIES, DENSE, HOURS, LENGTH, RECENT, SHELVES, TOP

    from pocketrec.contract import Contract, Dim, Feature, Output, Signature, VocabularySpec

    def ids(name: str, size: int, vocabulary: str) -> Any:
        return Feature(name=name, kind="id_sequence", shape=("batch", size), vocabulary=vocabulary)

    def one(name: str) -> Any:
        return Feature(name=name, kind="id", shape=("batch",), vocabulary=name)

    inputs = [ids("history", LENGTH, "item")]
    if job.kind == "shelves":
        inputs = [ids("recent", RECENT, "item"), one("category"), one("hour")]
        outputs = [Output(name="scores", meaning="score", shape=("batch", SHELVES))]
    elif job.kind == "retrieval":
        outputs = [
            Output(name="scores", meaning="top_k_scores", shape=("batch", TOP)),
            Output(name="ids", meaning="top_k_ids", dtype="int32", shape=("batch", TOP), vocabulary="item"),
        ]
    else:
        inputs += [ids("candidates", CANDIDATES, "item"), ids("categories", CANDIDATES, "category")]
        inputs += [Feature(name="dense", kind="dense", dtype="float32", shape=("batch", DENSE))]
        outputs = [Output(name="scores", meaning="score", shape=("batch", CANDIDATES))]
    return Contract(
        functions={"main": Signature(inputs=tuple(inputs), outputs=tuple(outputs))},
        dims={"batch": Dim(max=16)},
        vocabularies={
            name: VocabularySpec(size=size)
            for name, size in (("item", job.rows), ("category", CATEGORIES), ("hour", HOURS))
            if any(each.vocabulary == name for each in inputs)
        },
    )


def executorch(job: Job) -> Call:
    import torch
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import to_edge_transform_and_lower
    from executorch.extension.pybindings import portable_lib
    from executorch.runtime import Runtime

    portable_lib._unsafe_reset_threadpool(job.threads)

    program = torch.export.export(job.module, job.example)
    lowered = to_edge_transform_and_lower(program, partitioner=[XnnpackPartitioner()]).to_executorch()
    path = job.folder / "model.pte"
    with path.open("wb") as file:
        lowered.write_to_file(file)
    job.measure_files(path)
    method = Runtime.get().load_program(path).load_method("forward")
    return Call(lambda query: list(method.execute(query)), tensors)


def litert(job: Job) -> Call:
    import litert_torch
    from ai_edge_litert.interpreter import Interpreter

    path = job.folder / "model.tflite"
    litert_torch.convert(job.module, job.example).export(str(path))
    job.measure_files(path)
    interpreter = Interpreter(model_path=str(path), num_threads=job.threads)
    signature = interpreter.get_signature_runner()
    details = signature.get_input_details()
    names = sorted(details, key=lambda name: int(name.rsplit("_", 1)[-1]))
    outputs = sorted(signature.get_output_details(), key=lambda name: int(name.rsplit("_", 1)[-1]))

    def prepare(query: Query) -> Query:
        pairs = zip(names, query.values(), strict=True)
        return {name: each.astype(details[name]["dtype"]) for name, each in pairs}

    def run(query: Query) -> list[Any]:
        found = signature(**query)
        return [found[each] for each in outputs]

    return Call(run, prepare)


RIVALS: dict[str, Callable[[Job], Call]] = {
    "pocketrec int8": pocketrec_int8,
    "pocketrec float32": pocketrec_float,
    "PyTorch eager": eager,
    "torch.compile": compiled,
    "ONNX Runtime": plain_onnx,
    "ONNX Runtime quantize_dynamic": quantized_onnx,
    "OpenVINO": openvino_float,
    "OpenVINO int8 weights": openvino_int8,
    "ExecuTorch XNNPACK": executorch,
    "LiteRT": litert,
}


def stream(size_bytes: int, threads: int) -> Callable[[], object]:
    """A function that reads `size_bytes` once on `threads` threads, as fast as NumPy can."""
    from concurrent.futures import ThreadPoolExecutor

    parts = np.array_split(np.ones(size_bytes, np.uint8), threads)
    pool = ThreadPoolExecutor(threads)
    if threads == 1:
        return lambda: parts[0].max()
    return lambda: list(pool.map(np.max, parts))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("rival")
    parser.add_argument("kind")
    parser.add_argument("rows", type=int)
    parser.add_argument("folder", type=Path)
    parser.add_argument("threads", type=int)
    asked = parser.parse_args()
    # What tools print goes to stderr; the real stdout carries the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def say(**values: Any) -> None:
        answers.write(json.dumps(values) + "\n")
        answers.flush()

    try:
        if asked.rival == "stream":
            read = stream(asked.rows * 64, asked.threads)
            call, asked_queries, kind = Call(lambda query: [read()], dict), [{}], "stream"
            say(ready=True, size_bytes=asked.rows * 64)
        else:
            job = Job(asked.kind, asked.rows, asked.folder, asked.threads)
            call, asked_queries, kind = RIVALS[asked.rival](job), job.queries, job.kind
            call.run(call.prepare(asked_queries[0]))
            say(ready=True, size_bytes=job.size_bytes)
            del job.module
    except Exception as error:
        lines = str(error).strip().splitlines() or [""]
        say(missing=f"{type(error).__name__}: {lines[0][:200]}")
        return
    serve(call, asked_queries, kind, say)


def serve(call: Call, asked_queries: list[dict[str, Any]], kind: str, say: Callable[..., None]) -> None:
    from latency_models import best_ids

    prepared = [call.prepare(query) for query in asked_queries]
    for line in sys.stdin:
        command, *arguments = line.split()
        if command == "quit":
            return
        if command == "answer":
            say(best=[best_ids(kind, call.run(query)) for query in prepared])
            continue
        place, times = map(int, arguments)
        query, taken = prepared[place % len(prepared)], []
        for _ in range(times):
            start = time.perf_counter_ns()
            call.run(query)
            taken.append(time.perf_counter_ns() - start)
        say(ns=taken)


if __name__ == "__main__":
    main()
