"""Bootstrap intervals of paired differences beside SciPy's and plain resampling, in one run.

    python benchmarks/bootstrap.py [--examples 1000000] [--resamples 10000]

Peers draw fewer resamples, as they take minutes for as many; their time is scaled up by the number, which is
exact for work that is the same for each resample. Peak memory is what is allocated while intervals are
computed (tracemalloc, which sees NumPy's buffers), in a run of its own that is not timed.
"""

from __future__ import annotations

import argparse
import tracemalloc
from collections.abc import Callable
from time import perf_counter
from typing import Any

import numpy as np
import scipy.stats

from pocketrec.validate.measure.bootstrap import bootstrap, group, resampled_means
from pocketrec.workers import Workers

PEER = 20  # resamples that a peer draws


def differences(examples: int) -> dict[str, Any]:
    """Differences of NDCG@10 as two rankings give them, and ones of as many values as examples."""
    rng = np.random.default_rng(0)
    gains = np.r_[1 / np.log2(np.arange(10) + 2), 0.0]
    before = rng.integers(0, 11, examples)
    moved = np.clip(before + rng.integers(-1, 2, examples) * (rng.random(examples) < 0.05), 0, 10)
    return {
        "few values (NDCG@10)": gains[moved] - gains[before],
        "many values (log loss)": 0.1 * rng.standard_t(3, examples),
    }


def seconds(work: Callable[[], object]) -> float:
    start = perf_counter()
    work()
    return perf_counter() - start


def plain(values: Any, resamples: int) -> Any:
    rng = np.random.default_rng(1)
    return [values[rng.integers(0, len(values), len(values))].mean() for _ in range(resamples)]


def peak_mb(work: Callable[[], object]) -> float:
    tracemalloc.start()
    work()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=1_000_000)
    parser.add_argument("--resamples", type=int, default=10_000)
    asked = parser.parse_args()
    print(f"{asked.examples} examples, {asked.resamples} resamples")
    for name, values in differences(asked.examples).items():
        mine = seconds(lambda values=values: bootstrap(values, resamples=asked.resamples))
        naive = seconds(lambda values=values: plain(values, PEER)) * asked.resamples / PEER
        peer = (
            asked.resamples
            / PEER
            * seconds(
                lambda values=values: scipy.stats.bootstrap(
                    (values,), np.mean, n_resamples=PEER, batch=1, method="percentile", rng=1
                )
            )
        )
        memory = peak_mb(lambda values=values: bootstrap(values, resamples=500))
        print(f"{name}: {mine:.2f} s, {memory:.0f} MB beside the {values.nbytes / 1e6:.0f} MB of values;")
        print(f"  plain resampling {naive:.0f} s ({naive / mine:.0f}×)")
        print(f"  SciPy's percentile {peer:.0f} s ({peer / mine:.0f}×)")
        groups = group(values)
        alone = resampled_means(groups, resamples=2000, seed=0)
        for engine, count in (("threading", 2), ("loky", 2), ("loky", 3)):
            shared = resampled_means(
                groups, resamples=2000, seed=0, workers=Workers(count=count, engine=engine)
            )
            same = "the same bits" if shared.tobytes() == alone.tobytes() else "OTHER BITS"
            print(f"  {count} workers ({engine}): {same}")


if __name__ == "__main__":
    main()
