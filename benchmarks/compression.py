"""Compression against its peers: bytes, ranking quality, overlap and latency.

    python benchmarks/compression.py [--quick] [--alone] [--json] [--model NAME ...] [--time-limit SECONDS]

The zoo's models on MovieLens, and of the shops SASRec and two towers (`compression_models.py`). All
evaluation users, full ranking; artifacts run in this process, ONNX on ONNX Runtime and Core ML on the
interpreter (whose latency says nothing about a device), OpenVINO's and LiteRT's in environments of their own.
Quality has a 95 % interval from three seeds of bootstrap over users, what compression changed one from the
same users' differences. Peers start from the same uncompressed model and use their defaults; beside each
stands our plan whose files are no larger. A share such as `8 %` is of each target's own float32 files.
Searches choose on validation data, and everything is judged on test data. `--quick`: SASRec only; `--alone`:
without peers. Exits with 1 where a preset misses what it promises.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from compression_models import SHOP_MODELS, recipe_of
from compression_peers import FOREIGN, WRITTEN, Foreign, Missing, Tool, exported, tell
from compression_rows import MODELS, Row, beaten, misses, show

from pocketrec.convert.coreml.lower import to_coreml
from pocketrec.convert.onnx.lower import to_onnx
from pocketrec.errors import BudgetMissed
from pocketrec.evaluation import ClassificationData
from pocketrec.pipeline.attempts import Attempt, Tried
from pocketrec.pipeline.audit import tensors_read
from pocketrec.pipeline.calibration import calibrate
from pocketrec.pipeline.compression import explicit_plan
from pocketrec.pipeline.distilling import distil_trials
from pocketrec.pipeline.evaluator import make_evaluator
from pocketrec.pipeline.plans import Planned, SizedSearch
from pocketrec.pipeline.recipes import load_recipe
from pocketrec.pipeline.references import torch_runtimes
from pocketrec.quantize import Plan
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

PRESETS = ("int8", "int4", "smallest-neutral")
# Of the whole float32 files, distilled: where graphs weigh something, and where they weigh nothing.
SHARES = {**dict.fromkeys(MODELS, (0.12,)), **dict.fromkeys(SHOP_MODELS, (0.08, 0.05))}
SEEDS, RESAMPLES = (0, 1, 2), 200
TARGET = "iOS18"
Paths = dict[str, Path]


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One way to compress one model for one target, ready to be asked.

    Attributes:
        stored: bytes of its tensors; None where only the files are known.
        size: bytes of its files.
        runtimes: by function.
        module: the compressed reference of our own.
    """

    target: str
    method: str
    stored: int | None
    size: int
    runtimes: Mapping[str, Any]
    module: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """What is resampled, gains per user or scores and labels, what is counted of it, and the lists."""

    metric: str
    rows: Any
    statistic: Callable[[Any], Any]
    top_k: Any

    @property
    def value(self) -> float:
        return float(self.statistic(self.rows))


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A model of the zoo, made ready to be compressed in several ways."""

    name: str
    loaded: Loaded
    attempt: Attempt
    read: Mapping[str, Any]
    usage: Mapping[str, Any]
    evaluator: Any
    targets: Mapping[str, Any]
    cache: Path
    time_limit_s: float

    def compressed(self, *, targets: Collection[str] = ("onnx", "coreml"), **compress: Any) -> Any:
        """The compressed module and codes for what a recipe's `compress` asks, chosen on validation data."""
        asked = Compress(time_limit_s=self.time_limit_s, **compress)
        if asked.searches:
            folder = self.cache / self.name
            folder.mkdir(parents=True, exist_ok=True)
            search = SizedSearch(
                attempt=self.attempt,
                trials=self.loaded.trials,
                evaluator=self.evaluator,
                targets={name: self.targets[name] for name in targets},
                read=self.read,
                folder=folder,
                workers=Workers(),
                report=started,
            )
            plan = search.run(asked, Planned(plan=Plan(), stated=False, usage=self.usage)).plan
        else:
            plan = explicit_plan(asked, self.loaded.model.module, self.read, self.usage)
        return compress_trials(self.loaded.trials, plan, self.usage, Path())[1]

    def distilled(self, compression: Any) -> Any:
        """The same with its codes tuned on the validation data's inputs."""
        plan = compression.plan.distilled
        trials, begun = compress_trials(self.loaded.trials, plan, self.usage, Path())
        return distil_trials(trials, begun, search_data(self.loaded), started)[1]

    def lowered(self, compression: Any, folder: Path) -> dict[str, Paths]:
        """Target to function to artifact of a compressed module."""
        made = self.loaded.trials.of(Stubbed(lowered=compression.module), {})
        attempt = Attempt(trial=next(iter(made)), reference=self.attempt.reference)
        return lower(attempt.capture(), folder, compression.codes)


def model_of(name: str, asked: Any) -> tuple[Model, Any]:
    """The model, and captures of it as it is."""
    path = recipe_of(name, asked.models)
    recipe = load_recipe(path)
    judged = recipe.evaluate[0]
    search = Compress(data=judged.data, arguments={**judged.arguments, "split": "valid"})
    loaded = prepare(replace(recipe, compress=search), path.parent)
    first, known = Tried(loaded.trials).first, loaded.model
    captures = first.capture()
    read = {each: by for each, by in tensors_read(known.module, captures).items() if by}
    usage = calibrate(known.module, known.contract, [each.data for each in loaded.asked]).usage
    evaluator = make_evaluator(known.module, known.contract, search_data(loaded), usage)
    plain = {"precision": "float32", "flexible": (), "gather_codes": (), "multifunction": False}
    targets = {
        key: replace(each, minimum_deployment_target=TARGET, **plain) for key, each in recipe.targets.items()
    }
    model = Model(
        name=name,
        loaded=loaded,
        attempt=first,
        read=read,
        usage=usage,
        evaluator=evaluator,
        targets=targets,
        cache=asked.cache,
        time_limit_s=asked.time_limit,
    )
    return model, captures


def started(stage: str, done: int, total: int) -> None:
    if done == 0:
        tell(f"  {stage} ({total})")


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


def quality(loaded: Loaded, runtimes: Mapping[str, Any]) -> Quality:
    """The recipe's metric with its interval."""
    evaluate, data = loaded.asked[0].evaluate, loaded.asked[0].data
    run = quality_of(evaluate, loaded.model.contract, runtimes, data)
    if isinstance(data, ClassificationData):
        rows = np.stack([run.scores, data.labels], axis=1)
        return Quality(
            metric="auc", rows=rows, statistic=lambda rows: auc(rows[:, 0], rows[:, 1]), top_k=None
        )
    assert run.places is not None
    gains = ndcg(Ranks.of_one(run.places), evaluate.longest)
    return Quality(metric=f"ndcg@{evaluate.longest}", rows=gains, statistic=np.mean, top_k=run.top_k)


def interval(count: int, statistic: Callable[[Any], float]) -> tuple[float, float]:
    """The 95 % interval of a statistic of resampled rows, which is told their numbers."""
    found = []
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        found += [statistic(rng.integers(0, count, count)) for _ in range(RESAMPLES)]
    return float(np.quantile(found, 0.025)), float(np.quantile(found, 0.975))


def rows_of(name: str, asked: Any) -> list[Row]:
    """Every row of one model."""
    tell(f"{name} ...")
    model, captures = model_of(name, asked)
    with tempfile.TemporaryDirectory() as temporary, ExitStack() as stack:
        folder = Path(temporary)
        plain = lower(captures, folder / "plain", None)
        originals = [opened(target, "float32", paths, stack) for target, paths in plain.items()]
        ways = [*originals]
        for method, compression in ours(model, originals):
            made = model.lowered(compression, folder / method)
            ways += [
                opened(target, f"pocketrec {method}", paths, stack, compression.module)
                for target, paths in made.items()
            ]
        peers = [] if asked.alone else peers_of(model, plain, folder, stack)
        for peer in peers:
            ways.append(peer)
            own = of_its_size(model, peer, originals, folder, stack)
            if own is not None:
                ways.append(own)
        found = []
        for each in ways:
            tell(f"  evaluates {each.method} on {each.target}")
            found.append(quality(model.loaded, each.runtimes))
        times = latencies(model.loaded, model.attempt.reference, [each.runtimes for each in ways])
        base = {each.target: place for place, each in enumerate(ways) if each.method == "float32"}
        return [
            row(name, each, found[i], found[base[each.target]], ways[base[each.target]], times[i], model)
            for i, each in enumerate(ways)
        ]


def peers_of(model: Model, plain: Mapping[str, Paths], folder: Path, stack: ExitStack) -> list[Way]:
    """What others make of the same model."""
    return [*written(plain, folder, stack), *foreign(model, plain["onnx"], folder, stack)]


def opened(target: str, method: str, paths: Paths, stack: ExitStack, module: Any = None) -> Way:
    """Artifacts that are written, opened."""
    return Way(
        target=target,
        method=method,
        stored=sum(each.size_bytes for path in paths.values() for each in tensor_sizes(path)),
        size=sum(map(artifact_bytes, paths.values())),
        runtimes={
            function: stack.enter_context(open_artifact(path, engine(target)))
            for function, path in paths.items()
        },
        module=module,
    )


def ours(model: Model, plain: Sequence[Way]) -> Iterator[tuple[str, Any]]:
    """(method, compression) of what needs no peer to be compared with."""
    for preset in PRESETS:
        yield preset, model.compressed(preset=preset)
    if not isinstance(model.loaded.asked[0].data, ClassificationData):
        yield "int4 distilled", model.distilled(model.compressed(preset="int4"))
    for share in SHARES[model.name]:
        found = within(model, {each.target: share * each.size for each in plain})
        if found is not None:
            yield f"{share:.0%} of the files, distilled", model.distilled(found)


def within(model: Model, limits: Mapping[str, float]) -> Any | None:
    """The plan of least distortion for these targets, each within its bytes; None where none is."""
    stated = {target: limit / 1e6 for target, limit in limits.items()}
    try:
        compression = model.compressed(targets=limits, max_size_mb=stated)
    except BudgetMissed:
        return None
    with tempfile.TemporaryDirectory() as temporary:
        made = model.lowered(compression, Path(temporary) / "tried")
        sizes = {target: sum(map(artifact_bytes, made[target].values())) for target in limits}
    return compression if all(sizes[target] <= limit for target, limit in limits.items()) else None


def of_its_size(
    model: Model, peer: Way, originals: Sequence[Way], folder: Path, stack: ExitStack
) -> Way | None:
    """Our plan of least distortion whose files are no larger than the peer's; None where none is."""
    plain = [each for each in originals if each.target == peer.target]
    if peer.size >= plain[0].size:
        return None
    method = f"pocketrec, as small as {peer.method}"
    compression = within(model, {peer.target: peer.size})
    if compression is None:
        return None
    made = model.lowered(compression, folder / method)
    return opened(peer.target, method, made[peer.target], stack, compression.module)


def written(plain: Mapping[str, Paths], folder: Path, stack: ExitStack) -> Iterator[Way]:
    """Peers that write an artifact which is opened here."""
    for method, (target, write) in WRITTEN.items():
        tell(f"  {method}")
        made = {}
        for function, path in plain[target].items():
            made[function] = folder / f"{method.replace(' ', '_')}-{path.name}"
            write(path, made[function])
        yield opened(target, method, made, stack)


def foreign(model: Model, plain: Paths, folder: Path, stack: ExitStack) -> Iterator[Way]:
    """Peers of other environments, which are compared with our ONNX files."""
    contract = model.loaded.model.contract
    programs = exported(model.loaded.model.module, contract, folder / "programs")
    for method, (_, takes_onnx) in FOREIGN.items():
        tell(f"  {method}")
        try:
            tool = Tool(method, plain if takes_onnx else programs, folder / method)
        except Missing as error:
            tell(f"  {method}: missing: {error}")
            continue
        stack.callback(tool.close)
        runtimes = {
            function: Foreign(tool=tool, function=function, signature=signature, contract=contract)
            for function, signature in contract.functions.items()
        }
        yield Way(target="onnx", method=method, stored=None, size=sum(tool.sizes.values()), runtimes=runtimes)


def codes_error(model: Model, module: Any, runtimes: Mapping[str, Any]) -> float:
    """The largest distance of an artifact's numbers from the compressed reference, on all its probes."""
    contract, worst = model.loaded.model.contract, 0.0
    expected = torch_runtimes(module, contract)
    for function, signature in contract.functions.items():
        numbers = [each.name for each in signature.outputs if each.dtype == "float32"]
        for probe in model.attempt.reference.probes[function]:
            for inputs, rows in fit_inputs(runtimes[function], contract, signature, probe.inputs):
                ours, theirs = runtimes[function].run(inputs), expected[function].run(inputs)
                for name in numbers:
                    worst = max(worst, float(np.abs(ours[name][:rows] - theirs[name][:rows]).max()))
    return worst


def engine(target: str) -> str:
    return "onnxruntime" if target == "onnx" else "coreml-interpreter"


def latencies(loaded: Loaded, reference: Any, opened: Sequence[Mapping[str, Any]]) -> list[float]:
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


def row(name: str, way: Way, mine: Quality, base: Quality, plain: Way, p50_ms: float, model: Model) -> Row:
    count = len(mine.rows)
    low, high = interval(count, lambda chosen: float(mine.statistic(mine.rows[chosen])))
    least, most = interval(
        count, lambda chosen: float(base.statistic(base.rows[chosen]) - mine.statistic(mine.rows[chosen]))
    )
    return Row(
        model=name,
        target=way.target,
        method=way.method,
        weights_ratio=None if way.stored is None or plain.stored is None else way.stored / plain.stored,
        artifact_bytes=way.size,
        artifact_ratio=way.size / plain.size,
        metric=mine.metric,
        quality=mine.value,
        low=low,
        high=high,
        loss=base.value - mine.value,
        least_loss=least,
        most_loss=most,
        overlap=None if mine.top_k is None else float(top_k_overlap(base.top_k, mine.top_k).mean()),
        max_abs_error=None if way.module is None else codes_error(model, way.module, way.runtimes),
        p50_ms=p50_ms,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--alone", action="store_true")
    parser.add_argument("--model", action="append", choices=list(SHARES))
    parser.add_argument("--time-limit", type=float, default=240.0)
    parser.add_argument("--cache", type=Path, default=Path("build/benchmark-search"))
    parser.add_argument("--models", type=Path, default=Path("build/benchmark-models"))
    asked = parser.parse_args()
    names = asked.model or (["sasrec"] if asked.quick else list(SHARES))
    rows = [each for name in names for each in rows_of(name, asked)]
    missed, better = misses(rows), beaten(rows)
    if asked.json:
        print(json.dumps({"rows": [asdict(r) for r in rows], "missed": missed, "peers": better}, indent=1))
    else:
        show(rows)
        print("\n".join(["", *better, *(f"MISSED: {each}" for each in missed)]))
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
