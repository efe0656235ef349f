"""Latency of our artifacts beside what a user would pick instead, with the ranking quality of each.

    python benchmarks/latency.py [--cases NAME ...] [--rivals NAME ...] [--threads N ...] [--rounds N]
                                 [--json] [--markdown FILE]

Every rival lives in a long-lived process of its own, in a virtual environment that is made on first
use below benchmarks/.rivals. Rounds are interleaved: each rival in turn makes a few calls of one query,
batch 1, in the types that it takes, of which the first only warms the caches that the others have used.
All hold the same weights;
`overlap` is the mean share of the ten best items that PyTorch in float32 has, too, over 40 queries.
For retrieval from 8-bit codes, `GB/s` is the bytes of the codes by the median, beside what NumPy reads
from memory with as many threads in the same rounds.

Exit code 1 where our fastest artifact whose overlap is at least 0.97 is slower, by more than 5 %, than
a rival with no better overlap. A rival that cannot be installed, convert or run is a row that says why.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import latency_environments
import numpy as np
from latency_models import CASES, WIDTH, Case

REFERENCE = "PyTorch eager"
OURS = ("pocketrec int8", "pocketrec float32")
# Rival to environment; ours run in the project's own.
ENVIRONMENTS = {
    "PyTorch eager": "pytorch",
    "torch.compile": "pytorch",
    "ONNX Runtime": "onnxruntime",
    "ONNX Runtime quantize_dynamic": "onnxruntime",
    "OpenVINO": "openvino",
    "OpenVINO int8 weights": "openvino",
    "ExecuTorch XNNPACK": "executorch",
    "LiteRT": "litert",
}
NEUTRAL = 0.97
NOISE = 1.05  # two runs of one file differ by as much
CALLS = 6  # in a turn; the first is not counted
PAUSE_S = 0.02  # so that no thread of the last rival still spins
HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    case: str
    rival: str
    threads: int
    missing: str = ""
    p50_ms: float = 0.0
    p95_ms: float = 0.0
    size_mb: float = 0.0
    overlap: float = 0.0
    codes_gb_s: float | None = None
    stream_gb_s: float | None = None


class Worker:
    """A rival's process. `missing` says why there is none; then it answers nothing."""

    def __init__(self, rival: str, case: Case, threads: int, folder: Path) -> None:
        self.rival, self.missing, self.size_bytes = rival, "", 0
        self.samples_ms: list[float] = []
        self.best: list[list[int]] = []
        self._process: subprocess.Popen[str] | None = None
        folder.mkdir()
        try:
            python = self._python()
        except RuntimeError as error:
            self.missing = str(error)
            return
        self._log = (folder / "log.txt").open("w")
        arguments = [rival, case.kind, str(case.rows), str(folder), str(threads)]
        self._process = subprocess.Popen(
            [str(python), "-W", "ignore", str(HERE / "latency_worker.py"), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": str(threads), "PYTHONPATH": str(HERE.parent / "src")},
        )
        ready = self._answer()
        self.missing = ready.get("missing", "")
        self.size_bytes = ready.get("size_bytes", 0)

    def _python(self) -> Path:
        if self.rival not in ENVIRONMENTS:
            return Path(sys.executable)
        return latency_environments.python_of(ENVIRONMENTS[self.rival])

    def _answer(self) -> dict[str, Any]:
        assert self._process is not None
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if line:
            answer: dict[str, Any] = json.loads(line)
            return answer
        lines = Path(self._log.name).read_text().strip().splitlines() or ["no output"]
        return {"missing": f"exit code {self._process.wait()}: {lines[-1][:200]}"}

    def ask(self, command: str) -> dict[str, Any]:
        """The answer to a command; where the process has died, it is missing from now on."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(f"{command}\n")
        self._process.stdin.flush()
        answer = self._answer()
        self.missing = self.missing or answer.get("missing", "")
        return answer

    def turn(self, query: int) -> None:
        """Makes a few calls, and keeps their times."""
        self.samples_ms += [each / 1e6 for each in self.ask(f"run {query} {CALLS}").get("ns", [])[1:]]

    def close(self) -> None:
        """Ends the process."""
        if self._process is not None:
            assert self._process.stdin is not None
            self._process.stdin.close()
            self._process.wait()
            self._log.close()


def measure(name: str, rivals: list[str], threads: int, rounds: int) -> list[Figure]:
    """A figure per rival, from interleaved rounds."""
    case = CASES[name]
    folder = Path(tempfile.mkdtemp(prefix="latency-"))
    asked = [*rivals, *([] if REFERENCE in rivals else [REFERENCE]), "stream"]
    workers: list[Worker] = []
    try:
        for place, rival in enumerate(asked):
            print(f"{name}, {threads} thread(s): preparing {rival}", file=sys.stderr)
            workers.append(Worker(rival, case, threads, folder / str(place)))
        for worker in workers:
            if not worker.missing and worker.rival != "stream":
                worker.best = worker.ask("answer").get("best", [])
        for turn in range(rounds):
            for worker in workers:
                if not worker.missing:
                    worker.turn(turn)
                    time.sleep(PAUSE_S)
    finally:
        for worker in workers:
            worker.close()
        shutil.rmtree(folder)
    found = {worker.rival: worker for worker in workers}
    if found[REFERENCE].missing:
        sys.exit(f"{name}: {REFERENCE}, which all are compared with, is missing: {found[REFERENCE].missing}")
    return [figure(name, case, threads, found[rival], found) for rival in rivals]


def figure(name: str, case: Case, threads: int, worker: Worker, found: dict[str, Worker]) -> Figure:
    if worker.missing:
        return Figure(case=name, rival=worker.rival, threads=threads, missing=worker.missing)
    median = statistics.median(worker.samples_ms)
    codes = None
    if worker.rival == "pocketrec int8" and case.kind == "retrieval":
        codes = case.rows * WIDTH / median / 1e6
    return Figure(
        case=name,
        rival=worker.rival,
        threads=threads,
        p50_ms=median,
        p95_ms=float(np.percentile(worker.samples_ms, 95)),
        size_mb=worker.size_bytes / 1e6,
        overlap=overlap(worker.best, found[REFERENCE].best),
        codes_gb_s=codes,
        stream_gb_s=codes and case.rows * WIDTH / statistics.median(found["stream"].samples_ms) / 1e6,
    )


def overlap(given: list[list[int]], expected: list[list[int]]) -> float:
    """The mean share of the best that both have."""
    shares = [len(set(a) & set(b)) / len(b) for a, b in zip(given, expected, strict=True)]
    return statistics.fmean(shares)


def slower(figures: list[Figure]) -> list[str]:
    """Where our fastest artifact of neutral quality is slower than a rival of no better quality."""
    said = []
    for key in dict.fromkeys((each.case, each.threads) for each in figures):
        here = [each for each in figures if (each.case, each.threads) == key and not each.missing]
        ours = [each for each in here if each.rival in OURS and each.overlap >= NEUTRAL]
        if not ours:
            said.append(f"{key[0]}, {key[1]} thread(s): no artifact of ours has an overlap of {NEUTRAL}")
            continue
        best = min(ours, key=lambda each: each.p50_ms)
        said += [
            f"{key[0]}, {key[1]} thread(s): {best.rival} takes {best.p50_ms:.3f} ms, {each.rival} "
            f"{each.p50_ms:.3f} ms at overlap {each.overlap:.3f}"
            for each in here
            if each.rival not in OURS and NOISE * each.p50_ms < best.p50_ms and each.overlap <= best.overlap
        ]
    return said


def markdown(figures: list[Figure]) -> str:
    """The figures as a table."""
    lines = [
        "| case | threads | | p50 ms | p95 ms | MB | overlap | codes GB/s (stream) |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for each in figures:
        start = f"| {each.case} | {each.threads} | {each.rival} |"
        if each.missing:
            lines.append(f"{start} missing: {each.missing.replace('|', '/')} | | | | |")
            continue
        speed = f"{each.codes_gb_s:.1f} ({each.stream_gb_s:.1f})" if each.codes_gb_s else ""
        times = f"{each.p50_ms:.3f} | {each.p95_ms:.3f}"
        lines.append(f"{start} {times} | {each.size_mb:.1f} | {each.overlap:.3f} | {speed} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    everything = [*OURS, *ENVIRONMENTS]
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--rivals", nargs="+", choices=everything, default=everything)
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--markdown", type=Path)
    asked = parser.parse_args()
    figures: list[Figure] = []
    for name in asked.cases:
        for threads in asked.threads:
            figures += measure(name, asked.rivals, threads, asked.rounds)
    said = slower(figures)
    if asked.markdown:
        asked.markdown.write_text(markdown(figures))
    if asked.json:
        machine = {"machine": platform.machine(), "cores": os.cpu_count()}
        print(
            json.dumps({**machine, "figures": [asdict(each) for each in figures], "slower": said}, indent=1)
        )
    else:
        print(markdown(figures), *(f"slower: {each}" for each in said), sep="\n")
    sys.exit(1 if said else 0)


if __name__ == "__main__":
    main()
