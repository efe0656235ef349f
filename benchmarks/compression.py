"""Compression against its peers on the model zoo: bytes, ranking quality, overlap and latency.

    python benchmarks/compression.py [--quick] [--json] [--model NAME ...] [--time-limit SECONDS]

All evaluation users, full ranking; every artifact runs in this process, ONNX on ONNX Runtime and
Core ML on the interpreter (whose latency says nothing about a device). Quality has a 95 % interval
from three seeds of bootstrap over users. Peers start from the same uncompressed artifact and use
their defaults; beside each stands our plan that stores no more than it. Searches choose on validation
data, and everything is judged on test data. `--quick`: SASRec only. Exits with 1 where a preset misses
what it promises.
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

from pocketrec.convert.coreml.lower import to_coreml
from pocketrec.convert.onnx.lower import to_onnx
from pocketrec.errors import BudgetMissed
from pocketrec.evaluation import ClassificationData
from pocketrec.model_zoo.registry import FAMILIES
from pocketrec.pipeline.attempts import Attempt, Tried
from pocketrec.pipeline.audit import tensors_read
from pocketrec.pipeline.calibration import calibrate
from pocketrec.pipeline.compression import (
    NEUTRAL_AUC_LOSS,
    NEUTRAL_NDCG_LOSS,
    explicit_plan,
)
from pocketrec.pipeline.evaluator import make_evaluator
from pocketrec.pipeline.recipes import load_recipe
from pocketrec.pipeline.references import torch_runtimes
from pocketrec.pipeline.search import search_plan
from pocketrec.recipe import Compress
from pocketrec.source.compressed import compress_trials
from pocketrec.source.loaded import Loaded, prepare, search_data
from pocketrec.source.streamed import Stubbed
from pocketrec.validate.artifact.sizes import artifact_bytes, tensor_sizes
from pocketrec.validate.measure.latency import measure_latency
from pocketrec.validate.measure.metrics.auc import auc
from pocketrec.validate.measure.metrics.ndcg import ndcg
from pocketrec.validate.measure.metrics.ranks import Ranks
from pocketrec.validate.measure.metrics.top_k_overlap import top_k_overlap
from pocketrec.validate.measure.quality import quality_of
from pocketrec.validate.open import open_artifact
from pocketrec.validate.runtimes.fit import fit_inputs
from pocketrec.workers import Workers

MODELS = ("sasrec", "two-tower", "dlrm")
PRESETS = ("int8", "int4", "smallest-neutral")
MAX_RATIO, WORTH_HAVING, MIN_INT8_OVERLAP = 0.14, 0.08, 0.99
SEEDS, RESAMPLES = (0, 1, 2), 200
TARGET = "iOS18"
MAX_ERROR = 1e-5
Paths = dict[str, Path]
Way = tuple[str, str, Paths, Any]  # target, method, artifacts, and the compressed reference of our own


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One way to compress one model for one target.

    Attributes:
        weights_ratio: stored tensors as a share of the float32 artifact's.
        artifact_ratio: the same of the files.
        low, high: the 95 % interval of `quality`.
        loss: how much lower `quality` is than the original's.
        overlap: top-k overlap with the original's lists; None for labels.
        max_abs_error: from the compressed reference, on probes; None for what is not ours.
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
    max_abs_error: float | None
    p50_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """Gains per user, or scores and labels, and the lists."""

    metric: str
    value: float
    interval: tuple[float, float]
    top_k: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A model of the zoo, made ready to be compressed in several ways."""

    name: str
    loaded: Loaded
    reference: Any
    read: Mapping[str, Any]
    usage: Mapping[str, Any]
    evaluator: Any
    targets: Mapping[str, Any]
    cache: Path
    time_limit_s: float

    def compressed(self, **compress: Any) -> Any:
        """The compressed module and codes for what a recipe's `compress` asks, chosen on validation data."""
        asked = Compress(time_limit_s=self.time_limit_s, **compress)
        if asked.searches:
            plan, _ = search_plan(
                asked,
                self.evaluator,
                self.targets,
                self.read,
                self.cache / self.name,
                workers=Workers(),
                progress=tell,
            )
        else:
            plan = explicit_plan(asked, self.loaded.model.module, self.read, self.usage)
        return compress_trials(self.loaded.trials, plan, self.usage, Path())[1]

    def lowered(self, compression: Any, folder: Path) -> dict[str, Paths]:
        """Target to function to artifact of a compressed module."""
        made = self.loaded.trials.of(Stubbed(lowered=compression.module), {})
        attempt = Attempt(trial=next(iter(made)), reference=self.reference)
        return lower(attempt.capture(), folder, compression.codes)


def model_of(name: str, asked: Any) -> tuple[Model, Any]:
    """The model, and captures of it as it is."""
    path = FAMILIES[name].recipe
    recipe = load_recipe(path)
    search = Compress(data=recipe.evaluate[0].data, arguments={"split": "valid"})
    loaded = prepare(replace(recipe, compress=search), path.parent)
    first, known = Tried(loaded.trials).first, loaded.model
    captures = first.capture()
    read = {each: by for each, by in tensors_read(known.module, captures).items() if by}
    usage = calibrate(known.module, known.contract, [each.data for each in loaded.asked]).usage
    evaluator = make_evaluator(known.module, known.contract, search_data(loaded), usage)
    targets = {key: replace(each, minimum_deployment_target=TARGET) for key, each in recipe.targets.items()}
    model = Model(
        name=name,
        loaded=loaded,
        reference=first.reference,
        read=read,
        usage=usage,
        evaluator=evaluator,
        targets=targets,
        cache=asked.cache,
        time_limit_s=asked.time_limit,
    )
    return model, captures


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
    for method, (target, write) in ways.items():
        made = {}
        for function, path in plain[target].items():
            made[function] = folder / f"{method.replace(' ', '_')}-{path.name}"
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


def quality(loaded: Loaded, runtimes: Mapping[str, Any]) -> Quality:
    """The recipe's metric with its interval."""
    evaluate, data = loaded.asked[0].evaluate, loaded.asked[0].data
    run = quality_of(evaluate, loaded.model.contract, runtimes, data)
    if isinstance(data, ClassificationData):
        rows = np.stack([run.scores, data.labels], axis=1)
        spread = interval(rows, lambda rows: auc(rows[:, 0], rows[:, 1]))
        return Quality(metric="auc", value=auc(run.scores, data.labels), interval=spread, top_k=None)
    assert run.places is not None
    gains = ndcg(Ranks.of_one(run.places), evaluate.longest)
    name = f"ndcg@{evaluate.longest}"
    return Quality(metric=name, value=run.metrics[name], interval=interval(gains, np.mean), top_k=run.top_k)


def interval(values: Any, statistic: Callable[[Any], Any]) -> tuple[float, float]:
    found = []
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        found += [
            float(statistic(values[rng.integers(0, len(values), len(values))])) for _ in range(RESAMPLES)
        ]
    return float(np.quantile(found, 0.025)), float(np.quantile(found, 0.975))


def rows_of(name: str, asked: Any) -> list[Row]:
    """Every row of one model."""
    print(f"{name} ...", file=sys.stderr)
    model, captures = model_of(name, asked)
    with tempfile.TemporaryDirectory() as temporary, ExitStack() as stack:
        folder = Path(temporary)
        plain = lower(captures, folder / "plain", None)
        ways: list[Way] = [(target, "float32", paths, None) for target, paths in plain.items()]
        for preset in PRESETS:
            compression = model.compressed(preset=preset)
            made = model.lowered(compression, folder / preset)
            ways += [
                (target, f"pocketrec {preset}", paths, compression.module) for target, paths in made.items()
            ]
        for target, method, paths in peers(plain, folder):
            ways.append((target, method, paths, None))
            own = of_its_size(model, target, paths, plain, folder)
            if own is not None:
                ways.append(own)
        opened = [
            {
                function: stack.enter_context(open_artifact(path, engine(target)))
                for function, path in paths.items()
            }
            for target, _, paths, _ in ways
        ]
        found = [quality(model.loaded, runtimes) for runtimes in opened]
        times = latencies(model.loaded, model.reference, opened)
        errors = [
            None if module is None else codes_error(model, module, runtimes)
            for (_, _, _, module), runtimes in zip(ways, opened, strict=True)
        ]
        base = {target: place for place, (target, method, *_) in enumerate(ways) if method == "float32"}
        return [
            row(name, way[:3], found[i], found[base[way[0]]], ways[base[way[0]]][2], times[i], errors[i])
            for i, way in enumerate(ways)
        ]


def of_its_size(model: Model, target: str, peer: Paths, plain: dict[str, Paths], folder: Path) -> Way | None:
    """Our plan of least distortion whose artifacts store no more than the peer's; None where none is."""
    before, allowed = (sum(weights(path) for path in each.values()) for each in (plain[target], peer))
    ratio, method = allowed / before, f"pocketrec, as small as {peer_name(peer)}"
    if ratio >= 1:
        return None
    for attempt in range(8):
        try:
            compression = model.compressed(max_ratio=ratio)
        except BudgetMissed:
            return None
        made = model.lowered(compression, folder / f"{peer_name(peer)}-{attempt}".replace(" ", "-"))
        stored = sum(weights(path) for path in made[target].values())
        if stored <= allowed:
            return target, method, made[target], compression.module
        ratio *= 0.99 * allowed / stored
    return None


def peer_name(peer: Paths) -> str:
    return next(iter(peer.values())).name.rpartition("-")[0].replace("_", " ")


def codes_error(model: Model, module: Any, runtimes: Mapping[str, Any]) -> float:
    """The largest distance of an artifact's numbers from the compressed reference, on all its probes."""
    contract, worst = model.loaded.model.contract, 0.0
    expected = torch_runtimes(module, contract)
    for function, signature in contract.functions.items():
        numbers = [each.name for each in signature.outputs if each.dtype == "float32"]
        for probe in model.reference.probes[function]:
            for inputs, rows in fit_inputs(runtimes[function], contract, signature, probe.inputs):
                ours, theirs = runtimes[function].run(inputs), expected[function].run(inputs)
                for name in numbers:
                    worst = max(worst, float(np.abs(ours[name][:rows] - theirs[name][:rows]).max()))
    return worst


def engine(target: str) -> str:
    return "onnxruntime" if target == "onnx" else "coreml-interpreter"


def latencies(loaded: Loaded, reference: Any, opened: list[dict[str, Any]]) -> list[float]:
    """p50 of the evaluated function on its widest probe, all ways in turns."""
    function = loaded.recipe.evaluate[0].function
    signature = loaded.model.contract.functions[function]
    probe = reference.probes[function][0].inputs
    calls = {}
    for place, runtimes in enumerate(opened):
        inputs, _ = fit_inputs(runtimes[function], loaded.model.contract, signature, probe)[0]
        calls[str(place)] = lambda run=runtimes[function].run, given=inputs: run(given)
    measured = measure_latency(
        calls, warmup=5, runs=30, threads=1, batch=1, load_ms=dict.fromkeys(calls, 0.0)
    )
    return [measured[str(place)].p50_ms for place in range(len(opened))]


def row(
    name: str,
    way: tuple[str, str, Paths],
    mine: Quality,
    base: Quality,
    plain: Paths,
    p50_ms: float,
    error: float | None,
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
        overlap=None if mine.top_k is None else float(top_k_overlap(base.top_k, mine.top_k).mean()),
        max_abs_error=error,
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
        if (each.max_abs_error or 0) > MAX_ERROR:
            found.append(f"{where}: {each.max_abs_error:.1e} from its reference, promised {MAX_ERROR:g}")
    return found


def beaten(rows: list[Row]) -> list[str]:
    """Peers with a better quality, or lists nearer to the original's, than everything of ours no larger."""
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
        where = f"{peer.model} on {peer.target}"
        if not ours:
            found.append(f"{where}: nothing of ours is as small as {peer.method}")
            continue
        best = max(ours, key=lambda each: each.quality)
        if best.quality < peer.quality:
            inside = peer.low <= best.quality <= peer.high
            found.append(
                f"{where}: {peer.method} has {peer.metric} {peer.quality:.5f}, {best.method} "
                f"{best.quality:.5f} with {best.weights_bytes / peer.weights_bytes:.0%} of its bytes; "
                f"{'within' if inside else 'outside'} the interval"
            )
        nearest = max((each.overlap or 0 for each in ours), default=0)
        if peer.overlap is not None and nearest < peer.overlap:
            found.append(f"{where}: {peer.method} has an overlap of {peer.overlap:.4f}, ours {nearest:.4f}")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--model", action="append", choices=list(MODELS))
    parser.add_argument("--time-limit", type=float, default=240.0)
    parser.add_argument("--cache", type=Path, default=Path("build/benchmark-search"))
    asked = parser.parse_args()
    names = asked.model or (["sasrec"] if asked.quick else list(MODELS))
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
    print(f"{head}  quality (95 % interval)            loss  overlap   error      p50")
    for each in rows:
        overlap = "" if each.overlap is None else f"{each.overlap:.4f}"
        error = "" if each.max_abs_error is None else f"{each.max_abs_error:.1e}"
        print(
            f"{each.model:10} {each.target:7} {each.method:42} {each.weights_bytes / 1e3:8.1f}kB "
            f"{each.weights_ratio:6.1%} {each.artifact_bytes / 1e3:8.1f}kB {each.artifact_ratio:6.1%}  "
            f"{each.metric} {each.quality:.5f} ({each.low:.4f} to {each.high:.4f}) {each.loss:+9.5f} "
            f"{overlap:>8} {error:>7} {each.p50_ms:6.2f}ms"
        )


if __name__ == "__main__":
    main()
