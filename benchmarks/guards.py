"""What the check of ids costs: each model with and without it, in turns, in one process.

    python benchmarks/guards.py [--models NAME ...] [--runs N] [--threads N] [--json]

Figures are the medians of interleaved calls in microseconds, batch 1, and the ratio of the two; sizes
are those of the model file. `sasrec` is two blocks of attention over 50 of 3,417 items, the others are
those of `latency.py`.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import onnxruntime
import torch
from latency_models import CASES, make, queries
from torch import Tensor, nn

import pocketrec

ITEMS, LENGTH, WIDTH = 3417, 50, 64


class Sasrec(nn.Module):
    """Scores of all items for a history `[batch, LENGTH]`."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.item, self.position = nn.Embedding(ITEMS, WIDTH, padding_idx=0), nn.Embedding(LENGTH, WIDTH)
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(WIDTH, 2, WIDTH, batch_first=True, norm_first=True) for _ in range(2)
        )

    def forward(self, history: Tensor) -> Tensor:
        x = self.item(history) + self.position.weight
        for block in self.blocks:
            x = block(x)
        return x[:, -1] @ self.item.weight.T


def model(name: str) -> tuple[nn.Module, dict[str, Any]]:
    """The module of that name, and a call of it."""
    if name == "sasrec":
        history = np.random.default_rng(0).integers(1, ITEMS, (1, LENGTH))
        return Sasrec().eval(), {"history": history}
    case = CASES[name]
    return make(case.kind, case.rows), queries(case.kind, case.rows)[0]


@contextmanager
def unchecked() -> Iterator[None]:
    """Conversions without the check."""
    with mock.patch("pocketrec.convert.onnx.lower.guard_lookups"):
        yield


def session(path: Path, threads: int) -> Any:
    """The file as ONNX Runtime loads it."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(str(path), options)


def measured(sessions: dict[str, Any], call: dict[str, Any], runs: int) -> dict[str, float]:
    """Median by session, in microseconds."""
    times: dict[str, list[float]] = {name: [] for name in sessions}
    for number in range(runs + 20):
        for name, each in sessions.items():
            start = time.perf_counter_ns()
            each.run(None, call)
            if number >= 20:
                times[name].append((time.perf_counter_ns() - start) / 1e3)
    return {name: statistics.median(each) for name, each in times.items()}


def figures(names: list[str], runs: int, threads: int) -> Iterator[dict[str, Any]]:
    """A row per model and preset."""
    for name in names:
        module, query = model(name)
        example = {
            key: torch.from_numpy(each).repeat(2, *[1] * (each.ndim - 1)) for key, each in query.items()
        }
        call = {key: each.astype(np.int32) if each.dtype == np.int64 else each for key, each in query.items()}
        for preset in (None, "int8"):
            with tempfile.TemporaryDirectory() as folder:
                places = {each: Path(folder) / each for each in ("checked", "unchecked")}
                options: dict[str, Any] = {"targets": ("onnx",), "compress": preset}
                checked = pocketrec.convert_module(module, example, places["checked"], **options)
                with unchecked():
                    plain = pocketrec.convert_module(module, example, places["unchecked"], **options)
                paths = {"checked": checked.artifacts["onnx"], "unchecked": plain.artifacts["onnx"]}
                p50 = measured({key: session(path, threads) for key, path in paths.items()}, call, runs)
                yield {
                    "model": name,
                    "preset": preset or "float32",
                    **{f"{key}_p50_us": round(value, 1) for key, value in p50.items()},
                    "ratio": round(p50["checked"] / p50["unchecked"], 3),
                    "added_bytes": paths["checked"].stat().st_size - paths["unchecked"].stat().st_size,
                }


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--models", nargs="+", default=["sasrec", *CASES])
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    for row in figures(asked.models, asked.runs, asked.threads):
        plain = "  ".join(f"{key} {value}" for key, value in row.items())
        print(json.dumps(row) if asked.json else plain, flush=True)


if __name__ == "__main__":
    main()
