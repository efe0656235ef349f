"""The interpreter's speed as a ratio to PyTorch eager, measured in turns in the same run.

    python benchmarks/interpreter.py [--runs N] [--json]

Exits with 1 where a ratio misses its limit: 3.0 on the zoo's models, 1.5 on the retrieval head over
1,000,000 items. Both engines use 2 threads. Also prints what it costs to open a package with a table
of 1,000,000 x 64, and to gather ten rows of it, in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

THREADS = 2
os.environ.setdefault("OMP_NUM_THREADS", str(THREADS))
os.environ.setdefault("OPENBLAS_NUM_THREADS", str(THREADS))

import numpy as np  # noqa: E402 - the thread counts are read when it is imported
import torch  # noqa: E402
from torch import Tensor, nn  # noqa: E402

from pocketrec.contract import Contract, Dim, Feature, Output, Signature, VocabularySpec  # noqa: E402
from pocketrec.convert.capture.capture import Capture, ContractModule, capture  # noqa: E402
from pocketrec.convert.coreml.lower import to_coreml  # noqa: E402
from pocketrec.model_zoo.registry import FAMILIES  # noqa: E402
from pocketrec.pipeline.recipes import load_recipe  # noqa: E402
from pocketrec.source.loaded import prepare  # noqa: E402
from pocketrec.validate.coreml_program.interpreter import CoreMLInterpreter  # noqa: E402
from pocketrec.validate.measure.latency import measure_latency  # noqa: E402
from pocketrec.validate.measure.probes import make_probes  # noqa: E402

ZOO_LIMIT, HEAD_LIMIT = 3.0, 1.5
HEAD_ITEMS = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One model: medians in milliseconds, their ratio and its limit."""

    model: str
    precision: str
    eager_ms: float
    interpreter_ms: float
    ratio: float
    limit: float


class RetrievalHead(nn.Module):
    """Scores of a user embedding against a catalogue, and the best hundred."""

    def __init__(self, items: int, dim: int = 64) -> None:
        super().__init__()
        self.items = nn.Parameter(torch.randn(items, dim))

    def forward(self, user: Tensor) -> tuple[Tensor, Tensor]:
        """Scores and ids of the best hundred, `[batch, 100]` each."""
        scores, ids = torch.topk(user @ self.items.T, 100)
        return scores, ids


def head_contract() -> Contract:
    user = Feature(name="user", kind="dense", dtype="float32", shape=("batch", 64))
    outputs = (
        Output(name="best_scores", meaning="top_k_scores", shape=("batch", 100)),
        Output(name="best_ids", meaning="top_k_ids", dtype="int32", shape=("batch", 100)),
    )
    return Contract(
        functions={"main": Signature(inputs=(user,), outputs=outputs)}, dims={"batch": Dim(max=4)}
    )


def measure(name: str, captured: Capture, folder: Path, *, precision: str, limit: float, runs: int) -> Row:
    """The row of one captured function, one user at the longest history."""
    path = to_coreml(captured, folder / f"{name}-{precision}.mlpackage", precision=precision)
    original: ContractModule = captured.module
    with CoreMLInterpreter(path) as runtime:
        shapes = {each.name: each.shape for each in runtime.describe().inputs}
        signature = captured.signature
        tensors = [
            value.index_select(0, torch.arange(1)).expand([size or 1 for size in shapes[each.name]])
            if value.shape[1:] != tuple(shapes[each.name])[1:]
            else value[:1]
            for value, each in zip(captured.example, signature.inputs, strict=True)
        ]
        arrays = {
            each.name: np.ascontiguousarray(value.numpy())
            for each, value in zip(signature.inputs, tensors, strict=True)
        }
        calls: dict[str, Callable[[], object]] = {
            "eager": lambda: original(*tensors),
            "interpreter": lambda: runtime.run(arrays),
        }
        with torch.inference_mode():
            found = measure_latency(
                calls, warmup=10, runs=runs, threads=THREADS, batch=1, load_ms={"eager": 0, "interpreter": 0}
            )
    eager, ours = found["eager"].p50_ms, found["interpreter"].p50_ms
    return Row(
        model=name,
        precision=precision,
        eager_ms=eager,
        interpreter_ms=ours,
        ratio=ours / eager,
        limit=limit,
    )


MODELS = ("two-tower", "sasrec", "dlrm")  # of MovieLens, with weights that come along


def zoo_rows(folder: Path, runs: int) -> list[Row]:
    rows = []
    for name in MODELS:
        family = FAMILIES[name]
        recipe = load_recipe(family.recipe)
        loaded = prepare(recipe, Path(family.recipe).parent)
        model = loaded.model
        for function in model.contract.functions:
            probes = make_probes(model.contract, function, loaded.asked[0].data)
            tensors = [
                {key: torch.from_numpy(array) for key, array in each.inputs.items()} for each in probes
            ]
            captured = capture(model.lowered, model.contract, function, tensors)
            for precision in ("float32", "float16"):
                label = f"{name}.{function}"
                rows.append(measure(label, captured, folder, precision=precision, limit=ZOO_LIMIT, runs=runs))
    return rows


def head_row(folder: Path, runs: int) -> Row:
    torch.manual_seed(0)
    module = RetrievalHead(HEAD_ITEMS).eval().requires_grad_(False)
    probes = [{"user": torch.randn(size, 64)} for size in (1, 2, 4)]
    captured = capture(module, head_contract(), "main", probes)
    name = f"retrieval head, {HEAD_ITEMS:,} x 64"
    return measure(name, captured, folder, precision="float32", limit=HEAD_LIMIT, runs=min(runs, 30))


class Rows(nn.Module):
    """Rows of a table."""

    def __init__(self, items: int, dim: int = 64) -> None:
        super().__init__()
        self.table = nn.Embedding(items, dim)

    def forward(self, ids: Tensor) -> Tensor:
        """The rows of `ids`, `[batch, dim]`."""
        rows: Tensor = self.table(ids)
        return rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Footprint:
    """What a package costs to open and to read ten rows of, in milliseconds and growth of resident memory."""

    precision: str
    package_mb: float
    open_ms: float
    open_mb: float
    gather_ms: float
    gather_mb: float


_PROBE = """
import sys, time
import numpy as np
from coremltools.proto import Model_pb2
from pocketrec.validate.coreml_program.interpreter import CoreMLInterpreter

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096 / 1e6

figures, before = [], resident()
start = time.perf_counter()
runtime = CoreMLInterpreter(sys.argv[1])
figures += [1e3 * (time.perf_counter() - start), resident() - before]
ids, before, start = np.arange(10, dtype=np.int32) * 99_991, resident(), time.perf_counter()
runtime.run({"ids": ids})
figures += [1e3 * (time.perf_counter() - start), resident() - before]
print(*figures)
"""


def footprints(folder: Path) -> list[Footprint]:
    """The figures of a float32 and a float16 package."""
    ids = Feature(name="ids", kind="id", shape=("batch",), vocabulary="item")
    signature = Signature(
        inputs=(ids,), outputs=(Output(name="rows", meaning="embedding", shape=("batch", 64)),)
    )
    contract = Contract(
        functions={"main": signature},
        dims={"batch": Dim(min=10, max=12)},
        vocabularies={"item": VocabularySpec(size=HEAD_ITEMS)},
    )
    probes = [{"ids": torch.arange(size, dtype=torch.int32)} for size in (10, 12)]
    captured = capture(Rows(HEAD_ITEMS).eval().requires_grad_(False), contract, "main", probes)
    found = []
    for precision in ("float32", "float16"):
        path = to_coreml(captured, folder / f"rows-{precision}.mlpackage", precision=precision)
        printed = subprocess.run(
            [sys.executable, "-c", _PROBE, str(path)], capture_output=True, text=True, check=True
        )
        opened, grown, gathered, more = (float(each) for each in printed.stdout.split())
        size = sum(each.stat().st_size for each in path.rglob("*") if each.is_file()) / 1e6
        found.append(
            Footprint(
                precision=precision,
                package_mb=size,
                open_ms=opened,
                open_mb=grown,
                gather_ms=gathered,
                gather_mb=more,
            )
        )
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(THREADS)
    with tempfile.TemporaryDirectory() as folder:
        rows = [*zoo_rows(Path(folder), arguments.runs), head_row(Path(folder), arguments.runs)]
        costs = footprints(Path(folder))
    if arguments.json:
        print(json.dumps([asdict(each) for each in (*rows, *costs)], indent=1))
    else:
        for each in rows:
            verdict = "" if each.ratio <= each.limit else "  MISSED"
            print(
                f"{each.model:36} {each.precision:8} eager {each.eager_ms:8.3f} ms  "
                f"interpreter {each.interpreter_ms:8.3f} ms  {each.ratio:5.2f}x (limit {each.limit}){verdict}"
            )
        for cost in costs:
            print(
                f"package of {cost.package_mb:.0f} MB, {cost.precision}: open {cost.open_ms:.1f} ms and "
                f"{cost.open_mb:.1f} MB, ten rows {cost.gather_ms:.1f} ms and {cost.gather_mb:.1f} MB"
            )
    return int(any(each.ratio > each.limit for each in rows))


if __name__ == "__main__":
    sys.exit(main())
