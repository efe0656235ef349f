"""A million users on three runtimes, killed twice and gone on with: `make million`.

SASRec of the zoo on users drawn from MovieLens: the PyTorch reference, ONNX Runtime and the Core ML
interpreter, with slices and intervals. The build is killed (SIGKILL, with all that it started) when a half
of all parts are there, and again in the midst of the last runtime; each time the same command goes on. The
last line says how long all of it took, how much memory all processes held together, and what was reused.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import sys
from collections.abc import Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

from tests.million.users import write_users
from tests.million.watch import Watched, watch

from pocketrec.model_zoo.registry import FAMILIES
from pocketrec.validate.measure.machine import this_machine

ASKED = """
[evaluate]
data = "{data}"
kind = "ranking"
output = "scores"
k = 10
metrics = ["mrr"]

[evaluate.slices.users]
by = "history"
[evaluate.slices.items]
by = "popularity"
[evaluate.slices.gender]
by = "gender"

[gates]
max_ndcg_drop = 0.002
[gates.slices.users]
max_ndcg_drop = 0.002
[gates.slices.items]
max_ndcg_drop = 0.002

[targets.onnx]
[targets.coreml]
precision = "float16"
flexible = ["batch"]
"""
RUNTIMES = 3
KILLS = (1 / 2, 5 / 6)  # of all parts; the last third are the interpreter's
MOST_SECONDS, MOST_BYTES = 100 * 60, 1_500_000_000


def prepared(folder: Path, users: int, seed: int) -> Path:
    """The recipe, with its users beside it; nothing of an earlier run is left but those."""
    folder.mkdir(parents=True, exist_ok=True)
    data = folder / f"users-{users}-{seed}.parquet"
    if not data.exists():
        different = write_users(data, users, seed)
        print(f"{users} users drawn with seed {seed}, {different} of them different", flush=True)
    for name in ("bundle", "bundle.failed", "bundle.parts"):
        shutil.rmtree(folder / name, ignore_errors=True)
    zoo = FAMILIES["sasrec"]
    shutil.copyfile(zoo.weights, folder / zoo.weights.name)
    stated = zoo.recipe.read_text(encoding="utf-8").partition("[evaluate]")[0]
    stated = stated.replace(f"../weights/{zoo.weights.name}", zoo.weights.name)
    (folder / "recipe.toml").write_text(stated + ASKED.format(data=data.name), encoding="utf-8")
    return folder / "recipe.toml"


def spans_of(users: int) -> int:
    """How many parts there are of a runtime: whole 1,024 users, 64 parts at most."""
    blocks = -(-users // 1024)
    return -(-blocks // -(-blocks // 64))


def runs(recipe: Path, users: int, workers: int) -> Iterator[tuple[Watched, int]]:
    """What was seen of each run, and how many parts there were at its end."""
    folder = recipe.parent
    command = [str(Path(sys.executable).with_name("pocketrec")), "build", str(recipe), "--json"]
    command += ["--out", str(folder / "bundle"), "--workers", str(workers)]

    def kept() -> int:
        return len(list((folder / "bundle.parts").glob("*/*.part")))

    def reached(limit: int | None) -> bool:
        return limit is not None and kept() >= limit

    for number, share in enumerate((*KILLS, None)):
        limit = None if share is None else int(share * RUNTIMES * spans_of(users))
        seen = watch(
            command,
            env={"OMP_NUM_THREADS": "1"},
            stdout=folder / f"run-{number}.json",
            stderr=folder / f"run-{number}.log",
            until=partial(reached, limit),
        )
        print(json.dumps({**asdict(seen), "parts": kept()}), flush=True)
        yield seen, kept()


def faults(users: int, found: list[tuple[Watched, int]], told: dict[str, Any]) -> list[str]:
    """What was not as it must be."""
    at_kill = found[-2][1]
    total = RUNTIMES * spans_of(users)
    ran = [each for each in told["evidence"]["results"] if each["status"] == "ran"]
    asked = {
        f"{len(ran)} runtimes ran, not {RUNTIMES}": len(ran) == RUNTIMES,
        "a runtime did not examine all users": all(each["ranking"]["examples"] == users for each in ran),
        "an artifact has no intervals": all(each["ranking"]["changes"][0]["intervals"] for each in ran[1:]),
        "an artifact has no slices": all(each["ranking"]["slices"] for each in ran[1:]),
        "a run was not killed": all(seen.code < 0 for seen, _ in found[:-1]),
        "the last run failed": told["passed"],
        "parts were computed again": told["parts"] == {"reused": at_kill, "computed": total - at_kill},
        "parts are left": found[-1][1] == 0,
        "it took too long": sum(seen.seconds for seen, _ in found) <= MOST_SECONDS,
        "it held too much": max(seen.rss_bytes for seen, _ in found) <= MOST_BYTES,
    }
    return [fault for fault, right in asked.items() if not right]


def total(users: int, found: list[tuple[Watched, int]], told: dict[str, Any]) -> str:
    """The last line."""
    seconds = sum(seen.seconds for seen, _ in found)
    names = ("rss_bytes", "pss_bytes", "one_bytes")
    rss, pss, one = (max(getattr(seen, name) for seen, _ in found) / 1e6 for name in names)
    parts = told["parts"]
    cpu = sum(seen.cpu_seconds for seen, _ in found)
    return (
        f"{users} users on {RUNTIMES} runtimes in {seconds / 60:.1f} minutes, {cpu / 60:.1f} minutes of one "
        f"processor; killed {len(found) - 1} times; at most {rss:.0f} MB resident in all processes "
        f"({pss:.0f} MB with what is shared counted once, {one:.0f} MB in one); the last run reused "
        f"{parts.get('reused')} parts and computed {parts.get('computed')}"
    )


def main() -> int:
    """Runs all of it; 1 where something was not as it must be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=17)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--folder", type=Path, default=Path("build/million"))
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # which ends the build, too
    print(json.dumps(asdict(this_machine())), flush=True)
    start = perf_counter()
    recipe = prepared(asked.folder, asked.users, asked.seed)
    print(f"prepared in {perf_counter() - start:.0f} s", flush=True)
    found = list(runs(recipe, asked.users, asked.workers))
    text = (asked.folder / f"run-{len(KILLS)}.json").read_text()
    told = json.loads(text) if text else {"passed": False, "parts": {}, "evidence": {"results": []}}
    wrong = faults(asked.users, found, told)
    for fault in wrong:
        print(f"failed: {fault}")
    print(total(asked.users, found, told))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
