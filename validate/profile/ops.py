"""What each op of a call takes, as the engine itself tells.

Figures are means over the fastest quarter of the calls: what stops a call, such as another process, would be
blamed on the op that it met, and means add up, so that ops and what is between them are the call.

ONNX Runtime writes a trace, in whole microseconds, of the graph that it made of the file; an op that it
fused has the name of the tensor that comes out, which is how it finds its line. The interpreter's clock
runs around each op. Both cost time themselves, so these calls are none of those that percentiles are of.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter_ns
from typing import Any

from pocketrec.errors import ExecutionError, in_one_line
from pocketrec.outside import parse_json, read_file
from pocketrec.validate.profile.measure import Engine
from pocketrec.validate.runtimes.runtime import Array

_FIRST = 3  # calls that are not counted


@dataclass(frozen=True, slots=True, kw_only=True)
class OpTime:
    """One op: its type and name, the tensors that it makes where the engine knows, its mean time a call."""

    type: str
    name: str
    outputs: tuple[str, ...]
    ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class OpTimes:
    """The ops of a call.

    Attributes:
        source: who told, in words.
        calls: that were counted.
        total_ms: of a call, the mean; what is more than the ops is spent between them.
        ops: in the order in which they ran first.
        reason: why there are none; else empty.
    """

    source: str = ""
    calls: int = 0
    total_ms: float = 0.0
    ops: tuple[OpTime, ...] = ()
    reason: str = ""


def op_times(engine: Engine, calls: Sequence[Mapping[str, Array]], *, runs: int) -> OpTimes:
    """The ops' times on an engine that tells of them."""
    if engine.runtime not in _TOLD:
        return OpTimes(reason=f"{engine.runtime} does not tell what its ops take")
    return _TOLD[engine.runtime](engine, list(islice(cycle(calls), _FIRST + runs)))


def _by_interpreter(engine: Engine, calls: Sequence[Mapping[str, Array]]) -> OpTimes:
    from pocketrec.validate.coreml_program.interpreter import NAME, CoreMLInterpreter

    seen = []
    with CoreMLInterpreter(engine.path, function=engine.function or None) as program:
        for inputs in calls:
            start = perf_counter_ns()
            told = program.profile(inputs)
            total = (perf_counter_ns() - start) / 1e6
            seen.append((total, [((each.op_type, each.name), each.time_ms) for each in told]))
    return _averaged(seen[_FIRST:], f"{NAME}'s clock", {})


def _by_onnx_runtime(engine: Engine, calls: Sequence[Mapping[str, Array]]) -> OpTimes:
    with TemporaryDirectory(prefix="pocketrec-") as folder:
        events, outputs = _trace(engine, calls, Path(folder))
    seen = [
        (
            call["dur"] / 1e3,
            [((str(each["args"]["op_name"]), _name(each)), us / 1e3) for each, us in _alone(own)],
        )
        for call, own in _calls(events)
    ]
    return _averaged(seen[_FIRST:], "ONNX Runtime's trace of the graph as it optimized it", outputs)


def _averaged(
    calls: Sequence[tuple[float, Sequence[tuple[tuple[str, str], float]]]],
    source: str,
    outputs: Mapping[str, tuple[str, ...]],
) -> OpTimes:
    """The means over the fastest quarter of the calls, each a total and the times of its ops."""
    kept = sorted(calls, key=lambda each: each[0])[: -(-len(calls) // 4)]
    sums: dict[tuple[str, str], float] = defaultdict(float)
    for _, ops in kept:
        for key, ms in ops:
            sums[key] += ms
    return OpTimes(
        source=source,
        calls=len(kept),
        total_ms=sum(total for total, _ in kept) / len(kept),
        ops=tuple(
            OpTime(type=kind, name=name, outputs=outputs.get(name, ()), ms=ms / len(kept))
            for (kind, name), ms in sums.items()
        ),
    )


def _trace(
    engine: Engine, calls: Sequence[Mapping[str, Array]], folder: Path
) -> tuple[list[dict[str, Any]], dict[str, tuple[str, ...]]]:
    """The events of calls, and by op the tensors that it makes in the optimized graph."""
    import onnx
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = engine.threads, 1
    options.log_severity_level = 4
    options.enable_profiling, options.profile_file_prefix = True, str(folder / "trace")
    options.optimized_model_filepath = str(folder / "optimized.onnx")
    prefix = "session.optimized_model_external_initializers"
    options.add_session_config_entry(f"{prefix}_file_name", "weights.bin")
    options.add_session_config_entry(f"{prefix}_min_size_in_bytes", "1024")
    try:
        session = onnxruntime.InferenceSession(engine.path, options, providers=["CPUExecutionProvider"])
        for inputs in calls:
            session.run(None, dict(inputs))
        trace = session.end_profiling()
    except Exception as error:
        raise ExecutionError(
            f"{Path(engine.path).name}: ONNX Runtime failed: {in_one_line(error)}"
        ) from error
    events = parse_json(read_file(Path(trace)), name="ONNX Runtime's trace")
    graph = onnx.load_model_from_string(read_file(folder / "optimized.onnx")).graph
    return events, dict(_outputs(graph.node, events))


def _outputs(
    nodes: Sequence[Any], events: Sequence[Mapping[str, Any]]
) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Op to the tensors that it makes. One without a name is called by type and place in the trace."""
    named = {str(each.name) for each in nodes}
    unnamed: dict[str, list[tuple[str, ...]]] = defaultdict(list)
    for node in nodes:
        if node.name:
            yield str(node.name), tuple(node.output)
        else:
            unnamed[str(node.op_type)].append(tuple(node.output))
    called: dict[str, dict[str, int]] = defaultdict(dict)
    for each in events:
        if each.get("cat") == "Node" and (name := _name(each)) not in named:
            called[str(each["args"]["op_name"])][name] = int(each["args"]["node_index"])
    for kind, names in called.items():
        yield from zip(sorted(names, key=names.__getitem__), unnamed[kind], strict=False)


def _name(event: Mapping[str, Any]) -> str:
    return str(event["name"]).removesuffix("_kernel_time")


def _calls(
    events: Sequence[Mapping[str, Any]],
) -> Iterator[tuple[Mapping[str, Any], list[Mapping[str, Any]]]]:
    """Every call with the ops that ran in it."""
    ops = [each for each in events if each["cat"] == "Node" and str(each["name"]).endswith("_kernel_time")]
    for call in events:
        if call["name"] == "model_run":
            end = call["ts"] + call["dur"]
            yield call, [each for each in ops if call["ts"] <= each["ts"] < end]


def _alone(ops: Sequence[Mapping[str, Any]]) -> Iterator[tuple[Mapping[str, Any], float]]:
    """Every op with its microseconds less those of ops that ran inside of it, such as a loop's."""
    around: list[Mapping[str, Any]] = []
    inside: dict[int, float] = defaultdict(float)
    for each in sorted(ops, key=lambda op: (op["ts"], -op["dur"])):
        while around and around[-1]["ts"] + around[-1]["dur"] <= each["ts"]:
            around.pop()
        if around:
            inside[id(around[-1])] += each["dur"]
        around.append(each)
    for each in ops:
        yield each, max(0.0, each["dur"] - inside[id(each)])


_TOLD = {"onnxruntime": _by_onnx_runtime, "coreml-interpreter": _by_interpreter}
