"""Seconds, memory and correctness of converting large tables, beside the limit measured in the same run.

    python benchmarks/scale.py [--rows N ...] [--untied] [--peers] [--no-check] [--json]

The model looks up a history in a table, and scores the whole table (tied) or a second one
(`--untied`); the table is row-wise int8. The limit is plain NumPy: read a chunk, scale, round,
write. Each target runs in a process of its own, which first converts a table of 1,000 rows, so
that lazily imported libraries count for nothing; memory is counted from there. The limit is
measured before and after each conversion. Exit code 1 where a figure is missed:

    time <= 2.5 x the limit, peak memory <= 400 MB (both for the largest table),
    time linear in rows, both artifacts equal to the reference on 1,000 probes
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

WIDTH, LENGTH, BATCH, TOP = 64, 20, 16, 10
ROWS = (100_000, 1_000_000, 4_000_000, 10_000_000)
PROBES = 1_000
CHUNK = 1 << 14
MOST_TIMES, MOST_MB = 2.5, 400.0
_MB = 1e6


def make_model(rows: int, untied: bool = False) -> Any:
    """A recommender with a table of `rows` rows that is looked up and scored."""
    import torch
    from torch import nn

    class Retrieval(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.item = nn.Embedding(rows, WIDTH, padding_idx=0)
            self.user = nn.Linear(WIDTH, WIDTH)
            self.head = nn.Linear(WIDTH, rows, bias=False)
            if not untied:
                self.head.weight = self.item.weight

        def encode(self, embedded: torch.Tensor) -> torch.Tensor:
            return torch.tanh(self.user(embedded.mean(1)))

        def forward(self, history: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            scores, ids = torch.topk(self.head(self.encode(self.item(history))), TOP)
            return scores, ids

    return Retrieval()


def make_contract(rows: int) -> Any:
    """The contract of `make_model`."""
    from pocketrec.contract import Contract, Dim, Feature, Output, Signature, VocabularySpec

    history = Feature(
        name="history",
        kind="id_sequence",
        shape=("batch", LENGTH),
        vocabulary="item",
        padding_side="left",
        out_of_vocabulary="padding",
    )
    outputs = (
        Output(name="scores", meaning="top_k_scores", shape=("batch", TOP)),
        Output(name="ids", meaning="top_k_ids", dtype="int32", shape=("batch", TOP), vocabulary="item"),
    )
    return Contract(
        functions={"main": Signature(inputs=(history,), outputs=outputs)},
        dims={"batch": Dim(max=BATCH)},
        vocabularies={"item": VocabularySpec(size=rows, padding_id=0)},
    )


def write_checkpoint(path: Path, rows: int, *, untied: bool) -> None:
    """A safetensors file with the model's weights, written chunk by chunk."""
    rng = np.random.default_rng(0)
    shapes = {"item.weight": (rows, WIDTH), "user.bias": (WIDTH,), "user.weight": (WIDTH, WIDTH)}
    if untied:
        shapes["head.weight"] = (rows, WIDTH)
    header, offset = {}, 0
    for name, shape in shapes.items():
        size = 4 * int(np.prod(shape))
        header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    block = rng.standard_normal((CHUNK, WIDTH), np.float32) * np.float32(0.1)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for shape in shapes.values():
            for start in range(0, shape[0], CHUNK):
                part = np.roll(block, int(rng.integers(CHUNK)), axis=0)[: min(CHUNK, shape[0] - start)]
                scale = rng.uniform(0.5, 2, (len(part), 1)).astype(np.float32)
                file.write((part[:, : shape[-1]] * scale if len(shape) > 1 else part[0]).tobytes())


def limit_seconds(path: Path, folder: Path) -> float:
    """Seconds of row-wise int8 in plain NumPy, from the mapped checkpoint to a file."""
    from pocketrec.source.checkpoint import open_checkpoint

    start_time = time.perf_counter()
    for name, span in open_checkpoint(path).items():
        if span.size_bytes < 1 << 20:
            continue
        table = np.memmap(path, np.float32, "r", span.offset, span.shape)
        with (folder / f"{name}.codes").open("wb") as codes, (folder / f"{name}.scales").open("wb") as scales:
            for start in range(0, len(table), CHUNK):
                rows = table[start : start + CHUNK]
                scale = np.abs(rows).max(axis=1, keepdims=True) / np.float32(127)
                scale[scale == 0] = 1
                codes.write(np.rint(rows / scale).astype(np.int8).tobytes())
                scales.write(scale.astype(np.float16).tobytes())
    seconds = time.perf_counter() - start_time
    for ending in ("codes", "scales"):
        for each in folder.glob(f"*.{ending}"):
            each.unlink()
    return seconds


def convert(target: str, checkpoint: Path, rows: int, untied: bool, path: Path) -> None:
    """One artifact at `path`, from recipe-like arguments to the finished file."""
    import torch

    from pocketrec.convert.capture.streamed import capture_streamed
    from pocketrec.convert.coreml.lower import to_coreml
    from pocketrec.convert.onnx.lower import to_onnx
    from pocketrec.quantize import Plan
    from pocketrec.quantize.schemes.linear import Linear
    from pocketrec.recipe import ModelSource
    from pocketrec.source.compressed import compress_core
    from pocketrec.source.streamed import load_streamed

    here = Path(__file__)
    source = ModelSource(
        factory=f"{here.name}:make_model",
        weights=str(checkpoint.resolve()),
        arguments={"rows": rows, "untied": untied},
        stream_mb=min(64 << 20, 4 * WIDTH * rows) / 1e6,
    )
    streamed = load_streamed(source, base=here.parent)
    names = [each.name for each in streamed.tables]
    streamed, codes = compress_core(streamed, Plan(tensors=dict.fromkeys(names, Linear())))
    rng = np.random.default_rng(1)
    probes = [
        {"history": torch.from_numpy(rng.integers(0, rows, (batch, LENGTH)).astype(np.int32))}
        for batch in (2, 3, 1)
    ]
    captured = capture_streamed(streamed, make_contract(rows), "main", probes)
    if target == "coreml":
        to_coreml(
            captured, path, precision="float32", flexible=("batch",), tensors=codes, tables=streamed.tables
        )
    else:
        to_onnx(captured, path, tensors=codes, tables=streamed.tables)


def peer(target: str, checkpoint: Path, rows: int, path: Path) -> None:
    """The artifact by the converter alone: float32 ONNX, or int8 Core ML by way of float16."""
    import torch
    from safetensors.torch import load_file

    module = make_model(rows).eval().requires_grad_(False)
    module.load_state_dict(load_file(checkpoint), strict=False)
    example = (torch.ones(1, LENGTH, dtype=torch.int32),)
    if target == "onnx":
        torch.onnx.export(module, example, str(path), dynamo=True, verbose=False)
        return
    import coremltools as ct
    import coremltools.optimize.coreml as cto

    program = torch.export.export(module, example).run_decompositions({})
    model = ct.convert(program, minimum_deployment_target=ct.target.iOS17, skip_model_load=True)
    config = cto.OptimizationConfig(cto.OpLinearQuantizerConfig(mode="linear_symmetric"))
    cto.linear_quantize_weights(model, config).save(str(path))


def _status(key: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(float(line.split()[1]) * 1024 / _MB for line in lines if line.startswith(key))


def _reset_peak() -> float:
    """The memory now, MB, from which the kernel's record of the largest starts again."""
    Path("/proc/self/clear_refs").write_text("5")
    return _status("VmRSS")


def child(arguments: argparse.Namespace) -> dict[str, Any]:
    """One measured conversion, in this process."""
    checkpoint, rows, target = Path(arguments.checkpoint), arguments.rows[0], arguments.child
    folder = checkpoint.parent
    path = folder / ("model.mlpackage" if target.endswith("coreml") else "model.onnx")
    if target.startswith("peer-"):
        resource.setrlimit(resource.RLIMIT_AS, (arguments.peer_bytes, arguments.peer_bytes))
        base, start = _reset_peak(), time.perf_counter()
        peer(target.removeprefix("peer-"), checkpoint, rows, path)
        return {"seconds": time.perf_counter() - start, "peak_mb": _status("VmHWM") - base}
    warm = folder / "warm"
    shutil.rmtree(warm, ignore_errors=True)
    warm.mkdir()
    write_checkpoint(warm / "weights.safetensors", 1000, untied=arguments.untied)
    convert(target, warm / "weights.safetensors", 1000, arguments.untied, warm / path.name)
    shutil.rmtree(warm)
    before = limit_seconds(checkpoint, folder)
    base, start = _reset_peak(), time.perf_counter()
    convert(target, checkpoint, rows, arguments.untied, path)
    seconds = time.perf_counter() - start
    peak = _status("VmHWM") - base
    limit = (before + limit_seconds(checkpoint, folder)) / 2
    return {"seconds": seconds, "peak_mb": peak, "base_mb": base, "limit": limit, "ratio": seconds / limit}


class Reference:
    """The compressed model in NumPy and PyTorch, evaluated in blocks over the mapped checkpoint."""

    def __init__(self, checkpoint: Path, rows: int, untied: bool) -> None:
        import torch

        from pocketrec.source.checkpoint import open_checkpoint
        from pocketrec.source.streamed import read_tensor

        self.spans = open_checkpoint(checkpoint)
        self.rows = rows
        self.head = "head.weight" if untied else "item.weight"
        self.model = make_model(1)
        self.model.user.load_state_dict(
            {name: read_tensor(self.spans[f"user.{name}"]) for name in ("weight", "bias")}
        )
        self.torch = torch

    def values(self, name: str, rows: Any) -> Any:
        """What the codes of some rows stand for."""
        from pocketrec.quantize.schemes.linear import Linear

        span = self.spans[name]
        table = np.memmap(span.path, np.float32, "r", span.offset, span.shape)
        return Linear().quantize(name, np.ascontiguousarray(table[rows])).dequantize()

    def run(self, history: Any) -> tuple[Any, Any]:
        """The best scores and ids of every row of `history`."""
        embedded = self.values("item.weight", history.reshape(-1)).reshape(*history.shape, WIDTH)
        with self.torch.no_grad():
            users = self.model.encode(self.torch.from_numpy(embedded)).numpy()
        best = np.full((len(users), TOP), -np.inf, np.float32)
        ids = np.zeros((len(users), TOP), np.int64)
        for start in range(0, self.rows, CHUNK):
            scores = users @ self.values(self.head, slice(start, start + CHUNK)).T
            for user in np.flatnonzero(scores.max(axis=1) > best[:, -1]):
                better = np.flatnonzero(scores[user] > best[user, -1])
                found = np.concatenate((best[user], scores[user, better]))
                places = np.concatenate((ids[user], better + start))
                order = np.argsort(-found, kind="stable")[:TOP]
                best[user], ids[user] = found[order], places[order]
        return best, ids


def check(folder: Path, checkpoint: Path, rows: int, untied: bool) -> dict[str, str]:
    """Target to what is wrong with its artifact on the probes; empty where it equals the reference."""
    from pocketrec.validate.open import open_artifact

    history = np.random.default_rng(2).integers(0, rows, (PROBES, LENGTH)).astype(np.int32)
    expected, ids = Reference(checkpoint, rows, untied).run(history)
    tolerance = 1e-4 * np.abs(expected).max()
    clear = np.diff(expected, axis=1, prepend=np.inf, append=-np.inf)
    clear = np.minimum(-clear[:, :-1], -clear[:, 1:])[:, :TOP] > 2 * tolerance
    found = {}
    for target, name, runtime in (
        ("onnx", "model.onnx", None),
        ("coreml", "model.mlpackage", "coreml-interpreter"),
    ):
        wrong = []
        with open_artifact(folder / name, runtime) as opened:
            for start in range(0, PROBES, BATCH):
                part = slice(start, start + BATCH)
                given = opened.run({"history": history[part]})
                gap = np.abs(given["scores"] - expected[part]).max()
                other = int((given["ids"] != ids[part])[clear[part]].sum())
                if not gap <= tolerance or other:
                    wrong.append(f"probe {start}: scores off by {gap:.3g}, {other} ids differ")
        found[target] = wrong[0] if wrong else ""
    return found


def measured(arguments: argparse.Namespace, target: str, checkpoint: Path, rows: int) -> dict[str, Any]:
    """What a child process measures; `failed` where it did not finish."""
    command = [
        sys.executable,
        __file__,
        "--child",
        target,
        "--rows",
        str(rows),
        "--checkpoint",
        str(checkpoint),
    ]
    command += ["--peer-bytes", str(arguments.peer_bytes)] + (["--untied"] if arguments.untied else [])
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=arguments.timeout, check=False)
    except subprocess.TimeoutExpired:
        return {"failed": f"not finished in {arguments.timeout} s"}
    if done.returncode:
        return {"failed": (done.stderr.strip().splitlines() or ["killed"])[-1][:200]}
    result: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return result


def run(arguments: argparse.Namespace) -> tuple[list[dict[str, Any]], list[str]]:
    """One row of figures per table and target, and what was missed."""
    figures, missed = [], []
    for rows in arguments.rows:
        with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
            folder = Path(name)
            needed = 8 * WIDTH * rows * (2 if arguments.untied else 1)
            if shutil.disk_usage(folder).free < needed:
                missed.append(f"{rows} rows: {folder.parent} has less than {needed} bytes free")
                continue
            checkpoint = folder / "weights.safetensors"
            write_checkpoint(checkpoint, rows, untied=arguments.untied)
            for target in ("coreml", "onnx"):
                figures.append(
                    {"rows": rows, "target": target, **measured(arguments, target, checkpoint, rows)}
                )
                print_row(figures[-1])
            if not (arguments.no_check or any("failed" in each for each in figures[-2:])):
                for target, wrong in check(folder, checkpoint, rows, arguments.untied).items():
                    verdict = wrong or f"equal on {PROBES} probes"
                    print(f"{rows:>11,}  {target:<12} {verdict}", file=sys.stderr, flush=True)
                    next(each for each in figures[-2:] if each["target"] == target)["check"] = verdict
                    missed += [f"{rows} rows, {target}: {wrong}"] if wrong else []
            if arguments.peers and rows <= arguments.peer_rows:
                for target in ("peer-coreml", "peer-onnx"):
                    figures.append(
                        {"rows": rows, "target": target, **measured(arguments, target, checkpoint, rows)}
                    )
                    print_row(figures[-1])
    return figures, missed + judged(figures)


def judged(figures: list[dict[str, Any]]) -> list[str]:
    """The bounds that the figures miss."""
    missed = []
    for target in ("coreml", "onnx"):
        own = [each for each in figures if each["target"] == target]
        missed += [f"{each['rows']} rows, {target}: {each['failed']}" for each in own if "failed" in each]
        own = sorted((each for each in own if "failed" not in each), key=lambda each: each["rows"])
        if not own:
            continue
        last = own[-1]
        if last["ratio"] > MOST_TIMES:
            missed.append(
                f"{last['rows']} rows, {target}: {last['ratio']:.2f} x the limit; {MOST_TIMES} allowed"
            )
        missed += [
            f"{each['rows']} rows, {target}: {each['peak_mb']:.0f} MB; {MOST_MB:.0f} allowed"
            for each in own
            if each["peak_mb"] > MOST_MB
        ]
        for small, large in pairwise(own):
            if large["ratio"] > 1.5 * small["ratio"]:
                missed.append(f"{large['rows']} rows, {target}: more than linear beside {small['rows']} rows")
    return missed


def print_row(each: dict[str, Any]) -> None:
    """One line of the table."""
    text = f"{each['rows']:>11,}  {each['target']:<12} "
    if "failed" in each:
        text += each["failed"]
    else:
        text += f"{each['seconds']:>8.1f} s {each['peak_mb']:>8.0f} MB"
        text += f"  limit {each['limit']:.1f} s, ratio {each['ratio']:.2f}" if "ratio" in each else ""
    print(text, file=sys.stderr, flush=True)


def main() -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, nargs="+", default=list(ROWS))
    parser.add_argument("--untied", action="store_true", help="a second table for the scores")
    parser.add_argument("--peers", action="store_true", help="coremltools and torch.onnx beside it")
    parser.add_argument("--peer-rows", type=int, default=1_000_000, help="largest table for the peers")
    parser.add_argument("--peer-bytes", type=int, default=16 << 30, help="address space of a peer")
    parser.add_argument("--no-check", action="store_true", help="do not run the artifacts")
    parser.add_argument("--timeout", type=int, default=1800, help="seconds for one conversion")
    parser.add_argument("--folder", default=None, help="where tables and artifacts are put meanwhile")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--checkpoint", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        print(json.dumps(child(arguments)))
        return 0
    figures, missed = run(arguments)
    if arguments.json:
        print(json.dumps({"figures": figures, "missed": missed, "cores": os.cpu_count()}, indent=1))
    for each in missed:
        print(f"missed: {each}", file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
