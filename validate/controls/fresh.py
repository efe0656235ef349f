"""Inputs that nobody had when the artifact was written: drawn from its own digest.

artifact ─▶ sha256 ─▶ seed ─▶ inputs within the contract ─▶ artifact and reference, by the gates of parity

Probes and evaluation data are known before an artifact is written, so an artifact can hold their answers.
These it cannot, as they follow from all of its bytes; and the same artifact gets the same ones.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from pocketrec.contract import Contract
from pocketrec.evaluation import Probe
from pocketrec.kept import with_data
from pocketrec.outside import open_file
from pocketrec.recipe import Gates
from pocketrec.report import Control, RuntimeResult, TensorParity
from pocketrec.validate.evidence import Reference
from pocketrec.validate.gates import check_parity_gates
from pocketrec.validate.measure.parity import check_parity
from pocketrec.validate.measure.probes import make_probes
from pocketrec.validate.measure.tolerances import tie_tolerance
from pocketrec.validate.runtimes.fit import run_fitted
from pocketrec.validate.runtimes.runtime import Runtime

GATE = "fresh_inputs"
_DRAWN = ("random", "mixed")  # probes that follow from the seed


def seed_of(paths: Iterable[Path]) -> int:
    """Returns a number that follows from every byte of the artifacts, and of the files beside them."""
    digest = hashlib.sha256()
    for path in sorted(set(paths)):
        for each in _files(path):
            with open_file(each) as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
    return int.from_bytes(digest.digest()[:4], "big")


def _files(path: Path) -> Iterator[Path]:
    if path.is_dir():
        yield from sorted(each for each in path.rglob("*") if each.is_file())
        return
    yield from with_data(path)


def fresh_probes(contract: Contract, function: str, seed: int) -> tuple[Probe, ...]:
    """Returns random inputs of a function: one row and several, of every length."""
    return tuple(
        each for each in make_probes(contract, function, None, seed=seed) if each.name.startswith(_DRAWN)
    )


def fresh_inputs(
    opened: Mapping[str, Runtime], result: RuntimeResult, reference: Reference, gates: Gates, seed: int
) -> Control:
    """Whether every function gives the reference's numbers on inputs that follow from the seed."""
    found: list[TensorParity] = []
    for function, runtime in opened.items():
        probes = fresh_probes(reference.contract, function, seed)
        signature = reference.contract.functions[function]
        expected, actual = (
            [run_fitted(each, reference.contract, signature, probe.inputs) for probe in probes]
            for each in (reference.runtimes[function], runtime)
        )
        found += check_parity(
            expected,
            actual,
            [each.name for each in probes],
            signature,
            function=function,
            tie_tolerance=tie_tolerance(gates, runtime.describe().precision),
        )
    alone = replace(result, parity=tuple(found), rows=(), controls=(), stress=())
    verdicts = check_parity_gates(gates, [alone])
    failed = [each for each in verdicts if each.status != "passed"]
    if failed:
        said = "; ".join(f"{each.gate}: {each.message}" for each in failed)
        return Control(gate=GATE, passed=False, message=f"on inputs drawn after it was written, {said}")
    count = sum(each.elements for each in found)
    return Control(
        gate=GATE, passed=True, message=f"{count} numbers agree on inputs drawn after it was written"
    )
