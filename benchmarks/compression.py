"""Compression against its peers on the model zoo: bytes, ranking quality, overlap and latency.

    python benchmarks/compression.py [--quick] [--json] [--model NAME ...] [--time-limit SECONDS]

All evaluation users, full ranking; every artifact runs in this process, ONNX on ONNX Runtime and
Core ML on the interpreter (whose latency says nothing about a device). Quality has a 95 % interval
from three seeds of bootstrap over users. Peers start from the same uncompressed artifact and use
their defaults. `--quick`: SASRec only. Exits with 1 where a preset misses what it promises.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

from pocketrec.compression import (
    NEUTRAL_AUC_LOSS,
    NEUTRAL_NDCG_LOSS,
    compress_module,
    explicit_plan,
    tensors_read,
)
from pocketrec.convert.coreml import to_coreml
from pocketrec.convert.onnx import to_onnx
from pocketrec.evaluation import ClassificationData, RankingData
from pocketrec.examination import examine_module
from pocketrec.lowering import capture_functions
from pocketrec.model_zoo.registry import FAMILIES
from pocketrec.plan_measure import make_evaluator
from pocketrec.planning import Workers, search_plan
from pocketrec.prepared import Prepared, prepare
from pocketrec.recipe import Compress, load_recipe
from pocketrec.validate.fit import fit_inputs
from pocketrec.validate.latency import measure_latency
from pocketrec.validate.open import open_artifact
from pocketrec.validate.quality import quality_of
from pocketrec.validate.ranking import top_k_overlap
from pocketrec.validate.sizes import artifact_bytes, tensor_sizes

PRESETS = ("int8", "int4", "smallest-neutral")
MAX_RATIO, WORTH_HAVING, MIN_INT8_OVERLAP = 0.14, 0.08, 0.99
SEEDS, RESAMPLES = (0, 1, 2), 200
TARGET = "iOS18"
Paths = dict[str, Path]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One way to compress one model for one target.

    Attributes:
        weights_ratio: stored tensors as a share of the float32 artifact's.
        artifact_ratio: the same of the files.
        low, high: the 95 % interval of `quality`.
        loss: how much lower `quality` is than the original's.
        overlap: top-k overlap with the original's lists; None for labels.
    """

    model: str
    target: str
    method: str
    weights_bytes: int
    weights_ratio: float
    artifact_bytes: int
    artifact_ratio: float
    metric: str
    quality: float
    low: float
    high: float
    loss: float
    overlap: float | None
    p50_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """Gains per user, or scores and labels, and the lists."""

    metric: str
    value: float
    interval: tuple[float, float]
    top_k: Any


def plan_compression(name: str, prepared: Prepared, read: Mapping[str, Any], asked: Any) -> Any:
    """The compressed module and codes of a preset."""
    compress = Compress(preset=name, time_limit_s=asked.time_limit)
    if compress.searches:
        evaluator = make_evaluator(
            prepared.module, prepared.contract, prepared.recipe.evaluate, prepared.data
        )
        targets = {
            key: replace(each, minimum_deployment_target=TARGET)
            for key, each in prepared.recipe.targets.items()
        }
        folder = asked.cache / prepared.recipe.name
        plan, _ = search_plan(compress, evaluator, targets, read, folder, workers=Workers(), progress=tell)
    else:
        plan = explicit_plan(compress, prepared.module, read)
    return compress_module(plan, prepared.module, prepared.contract, prepared.data)


def tell(stage: str, done: int, total: int) -> None:
    if done == 0:
        print(f"  {stage} ({total})", file=sys.stderr)


def lower(captures: Mapping[str, Any], folder: Path, codes: Any) -> dict[str, Paths]:
    """Target to function to artifact."""
    folder.mkdir()
    made: dict[str, Paths] = {"onnx": {}, "coreml": {}}
    for function, captured in captures.items():
        made["onnx"][function] = to_onnx(captured, folder / f"{function}.onnx", tensors=codes)
        made["coreml"][function] = to_coreml(
            captured,
            folder / f"{function}.mlpackage",
            precision="float32",
            minimum_deployment_target=TARGET,
            tensors=codes,
        )
    return made


def peers(plain: dict[str, Paths], folder: Path) -> Iterator[tuple[str, str, Paths]]:
    """(target, method, artifacts) of every peer, made from the uncompressed artifacts."""
    ways: dict[str, tuple[str, Callable[[Path, Path], None]]] = {
        "onnxruntime quantize_dynamic int8": ("onnx", ort_dynamic),
        "onnxruntime MatMulNBits and Gather 4 bit": ("onnx", ort_4_bit),
        "coremltools linear int8": ("coreml", ct_linear),
        "coremltools palettize 4 bit": ("coreml", ct_palettize),
    }
    for number, (method, (target, write)) in enumerate(ways.items()):
        made = {}
        for function, path in plain[target].items():
            made[function] = folder / f"peer{number}-{path.name}"
            write(path, made[function])
        yield target, method, made


def ort_dynamic(source: Path, goal: Path) -> None:
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantize_dynamic(str(source), str(goal), weight_type=QuantType.QInt8)


def ort_4_bit(source: Path, goal: Path) -> None:
    import onnx
    from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer

    # Its default block of 128 fits no table of 64 columns; 32 is what its documentation shows.
    quantizer = MatMulNBitsQuantizer(
        onnx.load(source), block_size=32, op_types_to_quantize=("MatMul", "Gather")
    )
    quantizer.process()
    quantizer.model.save_model_to_file(str(goal), use_external_data_format=False)


def ct_linear(source: Path, goal: Path) -> None:
    from coremltools.optimize.coreml import (
        OpLinearQuantizerConfig,
        OptimizationConfig,
        linear_quantize_weights,
    )

    ct_save(
        linear_quantize_weights, OptimizationConfig(global_config=OpLinearQuantizerConfig()), source, goal
    )


def ct_palettize(source: Path, goal: Path) -> None:
    from coremltools.optimize.coreml import OpPalettizerConfig, OptimizationConfig, palettize_weights

    config = OptimizationConfig(global_config=OpPalettizerConfig(mode="kmeans", nbits=4))
    ct_save(palettize_weights, config, source, goal)


def ct_save(compress: Any, config: Any, source: Path, goal: Path) -> None:
    from coremltools.models import MLModel

    compress(MLModel(str(source), skip_model_load=True), config).save(str(goal))


def quality(prepared: Prepared, runtimes: Mapping[str, Any]) -> Quality:
    """The recipe's metric with its interval."""
    evaluate, data = prepared.recipe.evaluate, prepared.data
    run = quality_of(evaluate, prepared.contract, runtimes, data)
    if isinstance(data, ClassificationData):
        scores = run.scores
        return Quality(
            metric="auc",
            value=auc(scores, data.labels),
            interval=auc_interval(scores, data.labels),
            top_k=None,
        )
    assert run.top_k is not None
    gains = gains_of(run.top_k, data)
    name = f"ndcg@{evaluate.k}"
    return Quality(metric=name, value=run.metrics[name], interval=interval(gains, np.mean), top_k=run.top_k)


def gains_of(top_k: Any, data: RankingData) -> Any:
    hit = top_k == data.positives[:, None]
    return np.where(hit.any(axis=1), 1 / np.log2(hit.argmax(axis=1) + 2), 0.0)


def interval(values: Any, statistic: Callable[[Any], Any]) -> tuple[float, float]:
    found = []
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        found += [
            float(statistic(values[rng.integers(0, len(values), len(values))])) for _ in range(RESAMPLES)
        ]
    return float(np.quantile(found, 0.025)), float(np.quantile(found, 0.975))


def auc(scores: Any, labels: Any) -> float:
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(labels, scores))


def auc_interval(scores: Any, labels: Any) -> tuple[float, float]:
    return interval(np.stack([scores, labels], axis=1), lambda rows: auc(rows[:, 0], rows[:, 1]))


def rows_of(name: str, asked: Any) -> list[Row]:
    """Every row of one model."""
    print(f"{name} ...", file=sys.stderr)
    recipe = FAMILIES[name].recipe
    prepared = prepare(load_recipe(recipe), recipe.parent)
    reference = examine_module(prepared)
    captures = capture_functions(prepared, reference)
    read = {each: by for each, by in tensors_read(prepared.module, captures).items() if by}
    with tempfile.TemporaryDirectory() as temporary, ExitStack() as stack:
        folder = Path(temporary)
        ways: list[tuple[str, str, Paths]] = []
        plain = lower(captures, folder / "plain", None)
        ways += [(target, "float32", paths) for target, paths in plain.items()]
        for preset in PRESETS:
            compression = plan_compression(preset, prepared, read, asked)
            compressed = replace(prepared, module=compression.module)
            made = lower(capture_functions(compressed, reference), folder / preset, compression.codes)
            ways += [(target, f"pocketrec {preset}", paths) for target, paths in made.items()]
        ways += list(peers(plain, folder))
        opened = [
            {
                function: stack.enter_context(open_artifact(path, engine(target)))
                for function, path in paths.items()
            }
            for target, _, paths in ways
        ]
        found = [quality(prepared, runtimes) for runtimes in opened]
        times = latencies(prepared, reference, opened)
        base = {target: place for place, (target, method, _) in enumerate(ways) if method == "float32"}
        return [
            row(name, way, found[i], found[base[way[0]]], ways[base[way[0]]][2], times[i])
            for i, way in enumerate(ways)
        ]


def engine(target: str) -> str:
    return "onnxruntime" if target == "onnx" else "coreml-interpreter"


def latencies(prepared: Prepared, reference: Any, opened: list[dict[str, Any]]) -> list[float]:
    """p50 of the evaluated function on its widest probe, all ways in turns."""
    function = prepared.recipe.evaluate.function
    signature = prepared.contract.functions[function]
    probe = reference.probes[function][0].inputs
    calls = {}
    for place, runtimes in enumerate(opened):
        inputs, _ = fit_inputs(runtimes[function], prepared.contract, signature, probe)[0]
        calls[str(place)] = lambda run=runtimes[function].run, given=inputs: run(given)
    measured = measure_latency(
        calls, warmup=5, runs=30, threads=1, batch=1, load_ms=dict.fromkeys(calls, 0.0)
    )
    return [measured[str(place)].p50_ms for place in range(len(opened))]


def row(
    name: str, way: tuple[str, str, Paths], mine: Quality, base: Quality, plain: Paths, p50_ms: float
) -> Row:
    target, method, paths = way
    stored, stored_before = (sum(weights(path) for path in each.values()) for each in (paths, plain))
    size, size_before = (sum(artifact_bytes(path) for path in each.values()) for each in (paths, plain))
    return Row(
        model=name,
        target=target,
        method=method,
        weights_bytes=stored,
        weights_ratio=stored / stored_before,
        artifact_bytes=size,
        artifact_ratio=size / size_before,
        metric=mine.metric,
        quality=mine.value,
        low=mine.interval[0],
        high=mine.interval[1],
        loss=base.value - mine.value,
        overlap=None if mine.top_k is None else top_k_overlap(base.top_k, mine.top_k),
        p50_ms=p50_ms,
    )


def weights(path: Path) -> int:
    return sum(each.size_bytes for each in tensor_sizes(path))


def misses(rows: list[Row]) -> list[str]:
    """What the presets promise and do not hold."""
    found = []
    originals = {(each.model, each.target): each for each in rows if each.method == "float32"}
    for each in rows:
        where = f"{each.model} on {each.target}, {each.method}"
        limit = NEUTRAL_AUC_LOSS
        if each.metric != "auc":
            limit = NEUTRAL_NDCG_LOSS * originals[each.model, each.target].quality
        if each.method == "pocketrec smallest-neutral":
            if each.weights_ratio > MAX_RATIO:
                found.append(f"{where}: {each.weights_ratio:.1%} of float32, promised {MAX_RATIO:.0%}")
            if each.loss > limit:
                found.append(f"{where}: {each.metric} loss {each.loss:.5f}, promised {limit:.5f}")
        if each.method == "pocketrec int8" and (each.overlap or 1) < MIN_INT8_OVERLAP:
            found.append(f"{where}: overlap {each.overlap:.4f}, promised {MIN_INT8_OVERLAP}")
    return found


def beaten(rows: list[Row]) -> list[str]:
    """Peers with a better quality than everything of ours that is no larger."""
    found = []
    for peer in rows:
        if peer.method.startswith("pocketrec") or peer.method == "float32":
            continue
        ours = [
            each
            for each in rows
            if each.method.startswith("pocketrec")
            and (each.model, each.target) == (peer.model, peer.target)
            and each.weights_bytes <= peer.weights_bytes
        ]
        best = max(ours, key=lambda each: each.quality, default=None)
        if best is None:
            found.append(f"{peer.model} on {peer.target}: nothing of ours is as small as {peer.method}")
        elif best.quality < peer.quality:
            inside = peer.low <= best.quality <= peer.high
            found.append(
                f"{peer.model} on {peer.target}: {peer.method} has {peer.metric} {peer.quality:.5f}, "
                f"{best.method} {best.quality:.5f} with {best.weights_bytes / peer.weights_bytes:.0%} of its "
                f"bytes; {'within' if inside else 'outside'} the interval"
            )
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--model", action="append", choices=list(FAMILIES))
    parser.add_argument("--time-limit", type=float, default=900.0)
    parser.add_argument("--cache", type=Path, default=Path("build/benchmark-search"))
    asked = parser.parse_args()
    names = asked.model or (["sasrec"] if asked.quick else list(FAMILIES))
    rows = [each for name in names for each in rows_of(name, asked)]
    missed, better = misses(rows), beaten(rows)
    if asked.json:
        print(json.dumps({"rows": [asdict(r) for r in rows], "missed": missed, "peers": better}, indent=1))
    else:
        show(rows)
        print("\n".join(["", *better, *(f"MISSED: {each}" for each in missed)]))
    sys.exit(1 if missed else 0)


def show(rows: list[Row]) -> None:
    head = f"{'model':10} {'target':7} {'method':42} {'weights':>10} {'':>6} {'file':>10} {'':>6}"
    print(f"{head}  quality (95 % interval)            loss  overlap      p50")
    for each in rows:
        overlap = "" if each.overlap is None else f"{each.overlap:.4f}"
        print(
            f"{each.model:10} {each.target:7} {each.method:42} {each.weights_bytes / 1e3:8.1f}kB "
            f"{each.weights_ratio:6.1%} {each.artifact_bytes / 1e3:8.1f}kB {each.artifact_ratio:6.1%}  "
            f"{each.metric} {each.quality:.5f} ({each.low:.4f} to {each.high:.4f}) {each.loss:+9.5f} "
            f"{overlap:>8} {each.p50_ms:6.2f}ms"
        )


if __name__ == "__main__":
    main()
