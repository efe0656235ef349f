"""The whole of a build's evidence."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from pocketrec.report.artifacts import ArtifactSize, CompressedTensor, PlanPoint, RewriteResult, RoundedInput
from pocketrec.report.release import ReleaseDiff
from pocketrec.report.runtimes import RuntimeResult

COMPRESSED = "compressed"  # the target of the line that says what compression cost


@dataclass(frozen=True, slots=True, kw_only=True)
class GateResult:
    """One gate on one result; `message` says which output and how far, in words."""

    gate: str
    target: str
    runtime: str
    status: Literal["passed", "failed", "skipped"]
    message: str

    @property
    def where(self) -> str:
        """Target and runtime, as far as it is about one; empty where it is about the whole build."""
        return f"{self.target} on {self.runtime}" if self.runtime else self.target


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """Where the figures come from."""

    system: str
    processor: str
    cores: int
    memory_gb: float
    python: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Everything a build found out. Timings make it differ from run to run.

    Attributes:
        notes: what a reader must know of how the model was loaded, one sentence each.
        titles: vocabulary to id to what people read, of the items that the evidence names.
        data_sha256: of the evaluation data's content, of which releases are only compared on the same.
        further_data: the same of further evaluations, by their names.
        versus: what changed since the release before; None where there was none to compare with.
        tree_sha256: of the bundle's other files, as in its manifest: what this is the evidence of.
    """

    recipe: str
    recipe_sha256: str
    contract_sha256: str
    machine: Machine
    versions: Mapping[str, str]
    results: tuple[RuntimeResult, ...]
    sizes: tuple[ArtifactSize, ...]
    rewrites: tuple[RewriteResult, ...]
    gates: tuple[GateResult, ...]
    compression: tuple[CompressedTensor, ...] = ()
    activations: tuple[RoundedInput, ...] = ()
    front: tuple[PlanPoint, ...] = ()
    notes: tuple[str, ...] = ()
    titles: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    data_sha256: str = ""
    further_data: Mapping[str, str] = field(default_factory=dict)
    versus: ReleaseDiff | None = None
    tree_sha256: str = ""
    schema: int = 1

    @property
    def passed(self) -> bool:
        """True where at least one gate ran and none failed."""
        ran = [gate for gate in self.gates if gate.status != "skipped"]
        return bool(ran) and all(gate.status == "passed" for gate in ran)

    def to_json(self) -> str:
        """The evidence as strict JSON; infinities are written as strings."""
        return json.dumps(plain(asdict(self)), indent=1, sort_keys=True, allow_nan=False) + "\n"


def plain(value: Any) -> Any:
    """The value with what strict JSON lacks written as strings."""
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    return value
