"""`pocketrec build` of a recipe with a large table, once: seconds, memory, and what the evidence says.

    python benchmarks/scale_build.py [--rows N] [--nan ROW] [--target NAME ...] [--folder DIR]

The model is that of scale.py, its checkpoint two shards; the table is row-wise int8. The command runs
as a child, whose memory is sampled: `anonymous` is what it holds, `all` counts the pages of mapped
files too, which the system takes back at will. With `--nan` one number of that row is not finite, and
the command must say so with its row and leave nothing.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from scale import LENGTH, TOP, WIDTH, write_checkpoint

USERS, BATCH = 24, 2
RECIPE = """
schema = 1
name = "scale"
version = "1"
[model]
factory = "{scale}:make_model"
weights = "model.safetensors.index.json"
arguments = {{ rows = {rows} }}
stream_mb = 64
[contract.dims.batch]
max = {batch}
[contract.vocabularies.item]
tokens = "items.txt"
padding_id = 0
[[contract.functions.main.inputs]]
name = "history"
kind = "id_sequence"
shape = ["batch", {length}]
vocabulary = "item"
padding_side = "left"
out_of_vocabulary = "padding"
[[contract.functions.main.outputs]]
name = "scores"
meaning = "top_k_scores"
shape = ["batch", {top}]
[[contract.functions.main.outputs]]
name = "ids"
meaning = "top_k_ids"
dtype = "int32"
shape = ["batch", {top}]
vocabulary = "item"
[evaluate]
data = "{own}:make_data"
kind = "ranking"
output = "ids"
arguments = {{ rows = {rows} }}
[compress]
preset = "int8"
max_ndcg_drop = 1.0
[latency]
warmup = 1
runs = 10
[targets.onnx]
[targets.coreml]
precision = "float32"
"""


def make_data(rows: int) -> Any:
    """A few users with random histories."""
    from pocketrec.evaluation import RankingData

    rng = np.random.default_rng(1)
    return RankingData(
        inputs={"history": rng.integers(1, rows, (USERS, LENGTH)).astype(np.int32)},
        positives=rng.integers(1, rows, USERS),
        seen_ids=np.zeros(0, np.int64),
        seen_offsets=np.zeros(USERS + 1, np.int64),
        catalogue={},
    )


def write_project(folder: Path, rows: int) -> Path:
    """The recipe, with its checkpoint of two shards and its vocabulary."""
    whole, tensors = folder / "whole.safetensors", folder / "table.safetensors"
    write_checkpoint(whole, 64, untied=False)
    write_checkpoint(tensors, rows, untied=False)
    names = {"item.weight": tensors.name, "user.weight": whole.name, "user.bias": whole.name}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": names}))
    with (folder / "items.txt").open("w") as file:
        file.writelines(f"{number}\n" for number in range(rows))
    here = Path(__file__).resolve()
    scale = here.with_name("scale.py")
    text = RECIPE.format(scale=scale, own=here, rows=rows, batch=BATCH, length=LENGTH, top=TOP)
    (folder / "recipe.toml").write_text(text)
    return folder / "recipe.toml"


def spoil(path: Path, row: int) -> None:
    """Puts a NaN into the table of a checkpoint."""
    with path.open("r+b") as file:
        length = int.from_bytes(file.read(8), "little")
        file.seek(8 + length + 4 * (row * WIDTH + 3))
        file.write(np.float32("nan").tobytes())


def status(process: int, key: str) -> float:
    """A figure of a process, in MB; 0 where it has ended."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((float(each.split()[1]) * 1024 / 1e6 for each in lines if each.startswith(key)), 0.0)


def run(command: list[str]) -> dict[str, Any]:
    """Exit code, last lines, seconds and peaks of a command."""
    start = time.perf_counter()
    peaks, stages = {"anonymous_mb": 0.0, "all_mb": 0.0}, []
    with tempfile.TemporaryFile("w+") as errors:
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=errors)
        while child.poll() is None:
            time.sleep(0.05)
            peaks["anonymous_mb"] = max(peaks["anonymous_mb"], status(child.pid, "RssAnon"))
            peaks["all_mb"] = max(peaks["all_mb"], status(child.pid, "VmHWM"))
        errors.seek(0)
        stages = errors.read().strip().splitlines()
    return {"exit": child.returncode, "seconds": time.perf_counter() - start, **peaks, "stderr": stages}


def main() -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--nan", type=int, default=None, metavar="ROW")
    parser.add_argument("--target", action="append", default=[])
    parser.add_argument("--folder", default=None)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        folder = Path(name)
        recipe = write_project(folder, arguments.rows)
        if arguments.nan is not None:
            spoil(folder / "table.safetensors", arguments.nan)
        out = folder / "out"
        command = [sys.executable, "-m", "pocketrec", "build", str(recipe), "--out", str(out)]
        found = run([*command, *(part for each in arguments.target for part in ("--target", each))])
        if arguments.nan is not None:
            named = f"item.weight: row {arguments.nan}, column 3 is nan" in found["stderr"][-1]
            clean = not list(folder.glob("out*")) and not list(folder.glob(".out*"))
            print(json.dumps({**found, "named": named, "nothing_left": clean}, indent=1))
            return 0 if named and clean and found["exit"] == 3 else 1
        if out.exists():
            evidence = json.loads((out / "evidence/evidence.json").read_text())
            found["gates"] = [
                f"{each['status']} {each['gate']} {each['target']}" for each in evidence["gates"]
            ]
            found["sizes"] = {each["target"]: each["size_bytes"] for each in evidence["sizes"]}
            found["notes"] = evidence["notes"]
        print(json.dumps(found, indent=1))
        shutil.rmtree(out, ignore_errors=True)
    return int(found["exit"])


if __name__ == "__main__":
    sys.exit(main())
