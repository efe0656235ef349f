"""A family's line in the table of the zoo, from the evidence of its bundles."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib import import_module
from math import prod
from pathlib import Path
from typing import Any, Literal

from safetensors import safe_open
from tests.zoo.bundles import JUDGED, absent, bundle_of, evidence_in, ran, trained

from pocketrec.errors import PocketrecError
from pocketrec.model_zoo.family import Family


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """What one bundle of a family shows.

    Attributes:
        preset: `float` or `int8`.
        sizes: bytes of each target's artifacts.
        parity: the lowest signal-to-noise ratio of any output of each target on each runtime, in dB,
            beside PyTorch with the same codes; infinite where all numbers are equal.
        p50_ms: of the slowest function, by target and runtime; those of the interpreter are no device's.
        not_run: targets on runtimes, and why.
        metrics: of the artifact that is furthest from the reference, by metric.
    """

    preset: str
    sizes: dict[str, int]
    parity: dict[str, float]
    p50_ms: dict[str, float]
    not_run: dict[str, str]
    metrics: dict[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A family, and whether it came through.

    Attributes:
        status: `green`, `red`, or `not run` where its data are not here.
        why: what failed or what is missing; empty where it is green.
        metrics: of the trained model itself on the test split.
    """

    family: str
    status: Literal["green", "red", "not run"]
    why: str = ""
    parameters: int = 0
    metrics: dict[str, float] = field(default_factory=dict)
    built: tuple[Built, ...] = ()


def row_of(family: Family, place: Path) -> Row:
    """The family's line: trained where it has to be, built with every target, and judged by its gates."""
    missing = absent(family)
    if missing:
        return Row(family=family.name, status="not run", why=missing)
    try:
        trained(family)
        bundles = {preset: bundle_of(family, preset, place) for preset in JUDGED}
    except PocketrecError as error:
        return Row(family=family.name, status="red", why=str(error))
    evidence = {preset: evidence_in(each) for preset, each in bundles.items()}
    metrics = _measured(family) if family.measured_by else _reference(evidence["float"])
    failures = [said for preset, each in evidence.items() for said in _failures(preset, each)]
    failures += _below(family, metrics)
    return Row(
        family=family.name,
        status="red" if failures else "green",
        why="; ".join(failures[:3]),
        parameters=_parameters(family),
        metrics=metrics,
        built=tuple(_built(preset, each) for preset, each in evidence.items()),
    )


def _failures(preset: str, evidence: dict[str, Any]) -> list[str]:
    failed = [each for each in evidence["gates"] if each["status"] == "failed"]
    if not failed and not any(each["status"] == "passed" for each in evidence["gates"]):
        return [f"{preset}: no gate passed"]
    return [f"{preset}: {each['gate']} {each['target']}: {each['message']}" for each in failed]


def _below(family: Family, metrics: dict[str, float]) -> list[str]:
    """What the trained model itself does not hold."""
    return [
        f"{metric} is {metrics.get(metric)}, and its floor is {floor}"
        for metric, floor in family.floors
        if not metrics.get(metric, float("-inf")) >= floor
    ]


def _measured(family: Family) -> dict[str, float]:
    """The trained model's own metrics by the family's own function."""
    module, function = family.measured_by.split(":")
    found: dict[str, float] = getattr(import_module(module), function)()
    return found


def _reference(evidence: dict[str, Any]) -> dict[str, float]:
    """The trained model's own metrics: of the first evaluation by their names, of all as `METRIC of HEAD`."""
    found: dict[str, float] = {}
    for each in ran(evidence):
        found = {**_metrics(each, "reference"), **found}
    return found


def _metrics(result: dict[str, Any], side: str) -> dict[str, float]:
    """The metrics of every evaluation: of the first by their names, of all as `METRIC of HEAD`."""
    found: dict[str, float] = {}
    for one in (result["ranking"] or {}, *result.get("further", ())):
        for name, value in one.get(side, {}).items():
            found.setdefault(name, float(value))
            if one.get("name"):
                found.setdefault(f"{name} of {one['name']}", float(value))
    return found


def _built(preset: str, evidence: dict[str, Any]) -> Built:
    sizes: dict[str, int] = {}
    for each in evidence["sizes"]:
        sizes[each["target"]] = sizes.get(each["target"], 0) + each["size_bytes"]
    parity, p50_ms, metrics = {}, {}, dict[str, float]()
    for each in ran(evidence):
        name = f"{each['target']} {each['runtime']}"
        compared = [float(one["sqnr_db"]) for one in (*each["parity"], *each["rows"])]
        parity[name] = min(compared, default=float("nan"))
        if each["latency"]:
            p50_ms[name] = max(one["p50_ms"] for one in each["latency"].values())
        for metric, value in _metrics(each, "artifact").items():
            metrics[metric] = min(metrics.get(metric, value), value)
    not_run = {
        f"{each['target']} {each['runtime']}": each["reason"]
        for each in evidence["results"]
        if each["status"] == "not_run"
    }
    return Built(preset=preset, sizes=sizes, parity=parity, p50_ms=p50_ms, not_run=not_run, metrics=metrics)


def _parameters(family: Family) -> int:
    """Numbers in the weights; 0 where there is no file of them."""
    if not family.weights.is_file():
        return 0
    with safe_open(family.weights, "np") as file:
        return sum(prod(file.get_slice(name).get_shape()) for name in file.keys())  # noqa: SIM118 - no mapping
