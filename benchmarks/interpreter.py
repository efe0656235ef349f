"""The interpreter's speed as a ratio to PyTorch eager, measured in turns in the same run.

    python benchmarks/interpreter.py [--runs N] [--json]

Exits with 1 where a ratio misses its limit: 3.0 on the zoo's models, 1.5 on the retrieval head over
1,000,000 items. Both engines use 2 threads.
"""

from __future__ import annotations

import argparse
import json
import os
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

from pocketrec.contract import Contract, Dim, Feature, Output, Signature  # noqa: E402
from pocketrec.convert.capture import Capture, ContractModule, capture  # noqa: E402
from pocketrec.convert.coreml import to_coreml  # noqa: E402
from pocketrec.model_zoo.registry import FAMILIES  # noqa: E402
from pocketrec.pipeline import prepare  # noqa: E402
from pocketrec.recipe import load_recipe  # noqa: E402
from pocketrec.validate.coreml_program.interpreter import CoreMLInterpreter  # noqa: E402
from pocketrec.validate.latency import measure_latency  # noqa: E402
from pocketrec.validate.probes import make_probes  # noqa: E402

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


def zoo_rows(folder: Path, runs: int) -> list[Row]:
    rows = []
    for name, family in FAMILIES.items():
        recipe = load_recipe(family.recipe)
        prepared = prepare(recipe, Path(family.recipe).parent)
        for function in prepared.contract.functions:
            probes = make_probes(prepared.contract, function, prepared.data)
            tensors = [
                {key: torch.from_numpy(array) for key, array in each.inputs.items()} for each in probes
            ]
            captured = capture(prepared.module, prepared.contract, function, tensors)
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


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(THREADS)
    with tempfile.TemporaryDirectory() as folder:
        rows = [*zoo_rows(Path(folder), arguments.runs), head_row(Path(folder), arguments.runs)]
    if arguments.json:
        print(json.dumps([asdict(each) for each in rows], indent=1))
    else:
        for each in rows:
            verdict = "" if each.ratio <= each.limit else "  MISSED"
            print(
                f"{each.model:36} {each.precision:8} eager {each.eager_ms:8.3f} ms  "
                f"interpreter {each.interpreter_ms:8.3f} ms  {each.ratio:5.2f}x (limit {each.limit}){verdict}"
            )
    return int(any(each.ratio > each.limit for each in rows))


if __name__ == "__main__":
    sys.exit(main())
