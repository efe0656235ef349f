"""Users per second and memory of `pocketrec score`, beside the same users asked one by one, in the same run.

    python benchmarks/scoring.py BUNDLE [--users N] [--history NAME] [--way ENGINE:N ...] [--kill] [--k N]
    python benchmarks/scoring.py --items N [--batch N] --out BUNDLE

Users are drawn with a seed: histories of 1 to 50 items, popular ones more often. The command runs as a child,
whose memory is sampled with that of its own children; the growth is from the first tenth of its work to the
last. Rates are per CPU second, which other work on the machine moves less, and by the clock. Before it, in
this process, the same bundle answers some users one by one through the API, and its artifact alone runs on
arrays of as many rows as the contract allows: the most that any host could reach.
`--kill` kills the command in the middle and runs it again. Ways are `local:1`, `local:2`, `dask:2`, `ray:2`,
`spark:2`; clusters are started here and stand before the clock begins. Exit code 1 where bytes differ.

With `--items`, a bundle is built of the retrieval model of scale.py instead, its table row-wise int8.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

ASKED = 500  # users who are asked one by one
SECONDS = 5.0  # of the artifact alone
LONGEST = 50
CHUNK = 1 << 16


def write_users(path: Path, tokens: list[str], users: int, history: str) -> None:
    """A Parquet file of users, written row group by row group."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng, words = np.random.default_rng(0), pa.array(tokens)
    schema = pa.schema({"user": pa.string(), history: pa.list_(pa.string())})
    with pq.ParquetWriter(path, schema, compression="zstd") as file:
        for start in range(0, users, CHUNK):
            rows = min(CHUNK, users - start)
            ends = np.concatenate([[0], np.cumsum(rng.integers(1, LONGEST + 1, rows))]).astype(np.int32)
            places = (len(tokens) * rng.random(ends[-1]) ** 3).astype(np.int64)
            lists = pa.ListArray.from_arrays(ends, words.take(pa.array(places)))
            keys = pa.array([f"user-{each}" for each in range(start, start + rows)])
            file.write_table(pa.Table.from_arrays([keys, lists], schema=schema))


def tree(process: int) -> list[int]:
    """A process and all that it started."""
    found = [process]
    for each in found:
        for task in Path(f"/proc/{each}/task").glob("*/children"):
            found.extend(int(word) for word in _read(task).split())
    return found


def memory_mb(process: int) -> float:
    """What a process and its children hold of memory that is not a file's, in MB."""
    lines = (line for each in tree(process) for line in _read(Path(f"/proc/{each}/status")).splitlines())
    return sum(int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith("RssAnon"))


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


def run(command: list[str], *, kill_after: float | None = None) -> dict[str, Any]:
    """The command's JSON, its seconds and its memory; with `kill_after`, nothing but that it was killed."""
    samples, start, spent = [], time.perf_counter(), _cpu_seconds()
    with tempfile.TemporaryFile("w+") as out:
        child = subprocess.Popen(command, stdout=out, stderr=subprocess.DEVNULL)
        while child.poll() is None:
            time.sleep(0.25)
            samples.append(memory_mb(child.pid))
            if kill_after is not None and time.perf_counter() - start > kill_after:
                for each in reversed(tree(child.pid)):
                    os.kill(each, signal.SIGKILL)
        out.seek(0)
        if kill_after is not None:
            child.wait()
            return {"killed_after_s": kill_after, "exit": child.returncode}
        found = json.loads(out.read())
    if child.returncode:
        raise SystemExit(f"{' '.join(command)}: {found}")
    tenth = max(1, len(samples) // 10)
    found["cpu_s"] = _cpu_seconds() - spent
    found["peak_mb"] = max(samples)
    found["growth_mb"] = float(np.median(samples[-2 * tenth : -1]) - np.median(samples[tenth : 2 * tenth]))
    return found


def _cpu_seconds() -> float:
    """What all children that ended have computed, and theirs; workers of a cluster are none of them."""
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


def one_by_one(bundle: Path, data: Path, k: int) -> float:
    """Users per second through the API."""
    import pyarrow.parquet as pq

    import pocketrec

    rows = next(pq.ParquetFile(data).iter_batches(ASKED)).to_pylist()
    with pocketrec.load(bundle) as model:
        method = next(iter(model.methods))
        calls = [{**{name: each for name, each in row.items() if name != "user"}, "k": k} for row in rows]
        model.call(method, calls[0])
        start = time.process_time()
        for each in calls:
            model.call(method, each)
        return len(calls) / (time.process_time() - start)


def artifact_alone(bundle: Path, rows: int | None = None) -> tuple[float, int]:
    """Rows per second of the first artifact on the largest inputs, and how many rows a call has."""
    from pocketrec.package.bundle import read_bundle, read_contract
    from pocketrec.pipeline.app import open_checked, target_of

    held = read_bundle(bundle)
    contract = read_contract(held)
    function, signature = next(iter(contract.functions.items()))
    rng, inputs = np.random.default_rng(0), {}
    for each in signature.inputs:
        shape = [contract.bounds(size)[1] for size in each.shape]
        shape[0] = rows or shape[0]
        most = contract.vocabularies[str(each.vocabulary)].size if each.is_id else 2
        inputs[each.name] = rng.integers(1, most, shape).astype(each.dtype)
    batch = len(next(iter(inputs.values())))
    with open_checked(held, target_of(held, None), function) as artifact:
        artifact.run(inputs)
        calls, start = 0, time.process_time()
        while time.process_time() - start < SECONDS:
            artifact.run(inputs)
            calls += 1
        return calls * batch / (time.process_time() - start), batch


@contextmanager
def cluster(engine: str, workers: int) -> Iterator[list[str]]:
    """The options that name a cluster of so many processes on this machine."""
    if engine == "local":
        yield ["--workers", str(workers)]
    elif engine == "dask":
        from distributed import LocalCluster

        with LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=":0") as running:
            yield ["--engine", "dask", "--address", running.scheduler_address]
    elif engine == "ray":
        import ray

        ray.init(num_cpus=workers, include_dashboard=False, log_to_driver=False)
        try:
            yield ["--engine", "ray", "--address", ray.get_runtime_context().gcs_address]
        finally:
            ray.shutdown()
    else:
        os.environ["PYSPARK_PYTHON"] = sys.executable  # Spark starts its workers within the command
        yield ["--engine", "spark", "--address", f"local[{workers}]"]


def measure(arguments: argparse.Namespace) -> int:
    """Prints every way's figures; 1 where bytes differ."""
    bundle, digests = arguments.bundle, set()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        data, out = Path(name) / "users.parquet", Path(name) / "lists.parquet"
        tokens = vocabulary(bundle)
        write_users(data, tokens, arguments.users, arguments.history)
        alone = one_by_one(bundle, data, arguments.k)
        bare, batch = artifact_alone(bundle)
        single, _ = artifact_alone(bundle, 1)
        print("users per CPU second of one thread:")
        print(f"{'one by one through the API':34} {alone:10.1f}  1.00 x")
        print(f"{'artifact alone, 1 row a call':34} {single:10.1f}  {single / alone:.2f} x")
        print(f"{f'artifact alone, {batch} rows a call':34} {bare:10.1f}  {bare / alone:.2f} x")
        print("the command, from its start to its end:")
        command = [sys.executable, "-m", "pocketrec", "score", str(bundle), "--data", str(data)]
        command += ["--out", str(out), "--k", str(arguments.k), "--json"]
        for way in arguments.way or ["local:1", "local:2"]:
            engine, _, workers = way.partition(":")
            with cluster(engine, int(workers or 1)) as options:
                found = run([*command, *options])
            digests.add(hashlib.sha256(out.read_bytes()).hexdigest())
            out.unlink()
            rate = found["users"] / found["cpu_s"]
            spent = (
                f"{rate:10.1f}  {rate / alone:.2f} x" if engine == "local" else f"{'elsewhere':>10}        "
            )
            print(
                f"{way:34} {spent}  {found['users'] / found['seconds']:10.1f} users/s by the clock  "
                f"peak {found['peak_mb']:.0f} MB, growth {found['growth_mb']:+.0f} MB"
            )
        if arguments.kill:
            print(run(command, kill_after=0.5 * found["seconds"]))
            found = run(command)
            digests.add(hashlib.sha256(out.read_bytes()).hexdigest())
            print(f"after the kill: {found['reused']} parts kept, {found['computed']} computed")
    print("the same bytes" if len(digests) == 1 else f"bytes differ: {digests}")
    return int(len(digests) != 1)


def vocabulary(bundle: Path) -> list[str]:
    """The tokens of the first function's items."""
    import pocketrec

    with pocketrec.load(bundle) as model:
        items = model.items(model.check_method(next(iter(model.methods))).items)
        return [token for place, token in enumerate(items.tokens) if items.is_item(place)]


def build(arguments: argparse.Namespace) -> int:
    """Builds a bundle of scale.py's model."""
    sys.path.insert(0, str(Path(__file__).parent))
    import scale_build

    scale_build.BATCH = arguments.batch
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        recipe = scale_build.write_project(Path(name), arguments.items)
        command = [sys.executable, "-m", "pocketrec", "build", str(recipe), "--out", str(arguments.out)]
        return subprocess.run([*command, "--target", "onnx"], check=False).returncode


def main() -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("bundle", type=Path, nargs="?")
    parser.add_argument("--users", type=int, default=100_000)
    parser.add_argument("--history", default="history")
    parser.add_argument("--way", action="append")
    parser.add_argument("--k", type=int, default=10)
    parser.add_argument("--kill", action="store_true")
    parser.add_argument("--items", type=int)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--folder", default=None)
    arguments = parser.parse_args()
    return build(arguments) if arguments.items else measure(arguments)


if __name__ == "__main__":
    sys.exit(main())
