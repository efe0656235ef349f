"""Gates on what ships and how fast it is: the size of a target's files, latency and time to load.

A limit that nothing could be measured against fails; times of the interpreter and of WebGPU in software are
no device's and count as not measured.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

from pocketrec.recipe import Compress, Gates
from pocketrec.report import ArtifactSize, GateResult, RuntimeResult
from pocketrec.validate.gates import REFERENCE

_TIMES: Mapping[str, Literal["p50_ms", "load_ms"]] = {"max_p50_ms": "p50_ms", "max_load_ms": "load_ms"}
_SHOWN = 2  # of the largest tensors, where a file is too large


def check_budgets(
    gates: Gates,
    compress: Compress,
    sizes: Sequence[ArtifactSize],
    results: Sequence[RuntimeResult],
    targets: Sequence[str],
) -> tuple[GateResult, ...]:
    """One result per limit and target, and for times per runtime.

    Args:
        gates: the limits; a target without one is not gated.
        compress: its `max_size_mb` is a limit on the files, of every target or target by target.
        sizes: of all artifacts.
        results: with their latency; the reference's is not gated.
        targets: the recipe's.
    """
    found: list[GateResult] = []
    for target in targets:
        found.extend(_size(gates, compress, sizes, target))
    for gate in _TIMES:
        timed = [each for target in targets for each in _times(gates, gate, results, target)]
        if timed and all(each.status == "skipped" for each in timed):
            timed = [*timed, _result(gate, "", "", "failed", "no target could be measured; drop the gate")]
        found.extend(timed)
    return tuple(found)


def size_limit(gates: Gates, compress: Compress, target: str) -> float | None:
    """What a target's files may have, in 10^6 bytes: the smaller of gate and budget; None without either."""
    stated = [gates.limit("max_size_mb", target), compress.size_limit(target)]
    return min((each for each in stated if each is not None), default=None)


def _result(
    gate: str, target: str, runtime: str, status: Literal["passed", "failed", "skipped"], message: str
) -> GateResult:
    return GateResult(gate=gate, target=target, runtime=runtime, status=status, message=message)


def _size(
    gates: Gates, compress: Compress, sizes: Sequence[ArtifactSize], target: str
) -> Iterator[GateResult]:
    limit = size_limit(gates, compress, target)
    if limit is None:
        return
    mine = [each for each in sizes if each.target == target]
    total = sum(each.size_bytes for each in mine) / 1e6
    if not mine:
        yield _result("max_size_mb", target, "", "failed", "there is no file to weigh")
        return
    passed = total <= limit
    message = f"{total:.4g} MB on disk, limit at most {limit:g} MB{'' if passed else _largest(mine)}"
    yield _result("max_size_mb", target, "", "passed" if passed else "failed", message)


def _largest(sizes: Sequence[ArtifactSize]) -> str:
    tensors = [tensor for each in sizes for tensor in each.tensors]
    tensors.sort(key=lambda each: -each.size_bytes)
    shown = ", ".join(
        f"{each.name} ({each.dtype}, {each.size_bytes / 1e6:.3g} MB)" for each in tensors[:_SHOWN]
    )
    return f"; the largest tensors are {shown}" if shown else ""


def _times(gates: Gates, gate: str, results: Sequence[RuntimeResult], target: str) -> Iterator[GateResult]:
    limit = gates.limit(gate, target)
    if limit is None:
        return
    mine = [each for each in results if each.target == target and each.target != REFERENCE]
    if not mine:
        yield _result(gate, target, "", "failed", "nothing was measured")
    for each in mine:
        yield _time(gates, gate, each, limit)


def _time(gates: Gates, gate: str, result: RuntimeResult, limit: float) -> GateResult:
    target, runtime = result.target, result.runtime
    if result.pretended:
        return _result(gate, target, runtime, "skipped", f"{result.pretended}: its times are no device's")
    if result.status == "not_run":
        skipped = runtime in gates.may_skip
        return _result(gate, target, runtime, "skipped" if skipped else "failed", f"not run: {result.reason}")
    values = {name: float(getattr(each, _TIMES[gate])) for name, each in result.latency.items()}
    if not values:
        return _result(gate, target, runtime, "failed", "nothing was measured")
    slowest = max(values, key=lambda name: values[name])
    message = f"{slowest}: {values[slowest]:.4g} ms on this machine, limit at most {limit:g} ms"
    passed = all(value <= limit for value in values.values())
    return _result(gate, target, runtime, "passed" if passed else "failed", message)
