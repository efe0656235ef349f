"""What is found out of a build: the reference, every target on every runtime, and the evidence of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from pocketrec.contract import Contract
from pocketrec.pipeline.compression import Compression, audit, check_loss
from pocketrec.recipe import RUNTIMES, Compress
from pocketrec.report import COMPRESSED, ArtifactSize, Evidence, RewriteResult
from pocketrec.source.model import Prepared
from pocketrec.workers import Workers

if TYPE_CHECKING:
    from torch import nn

    from pocketrec.convert.capture.capture import Capture
    from pocketrec.source.checkpoint import Span
    from pocketrec.validate.evidence import Reference
    from pocketrec.validate.runtimes.runtime import Runtime

Progress = Callable[[str, int, int], None]


def silent(stage: str, done: int, total: int) -> None:
    """Nothing, whatever is being done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reopened:
    """The reference as it is sent to a worker: without what can be mapped from files there."""

    module: nn.Module
    spans: Mapping[str, Span]
    contract: Contract

    def __call__(self) -> Mapping[str, Runtime]:
        """A runtime of the reference for every function of the contract."""
        from pocketrec.source.mapped import mapped_module

        return torch_runtimes(mapped_module(self.module, self.spans), self.contract)


def torch_runtimes(module: nn.Module, contract: Contract) -> Mapping[str, Runtime]:
    """A runtime of the module behind its contract for every function."""
    from pocketrec.convert.watch.contract_module import ContractModule
    from pocketrec.validate.runtimes.torch_runtime import TorchRuntime

    return {
        name: TorchRuntime(
            ContractModule(module, contract, signature), signature, function=name, contract=contract
        )
        for name, signature in contract.functions.items()
    }


def examine_module(
    prepared: Prepared, report: Progress = silent, workers: Workers | None = None
) -> Reference:
    """The prepared module behind its contract, run on every probe and on all evaluation data."""
    from pocketrec.validate.evidence import examine_reference

    spans = {name: replace(each, path=each.path.resolve()) for name, each in prepared.spans.items()}
    return examine_reference(
        torch_runtimes(prepared.module, prepared.contract),
        prepared.contract,
        prepared.recipe.evaluate,
        prepared.data,
        seed=prepared.recipe.seed,
        progress=report,
        workers=workers,
        reopen=Reopened(module=prepared.lowered, spans=spans, contract=prepared.contract),
    )


def examine(
    prepared: Prepared,
    reference: Reference,
    captures: Mapping[str, Capture],
    artifacts: Mapping[str, Mapping[str, Path]],
    folder: Path,
    report: Progress,
    workers: Workers | None = None,
) -> Evidence:
    """Every target on every runtime that may run it, timed and gated."""
    from pocketrec.validate.budgets import check_budgets
    from pocketrec.validate.evidence import examine_target
    from pocketrec.validate.gates import check_gates
    from pocketrec.validate.measure.machine import this_machine, tool_versions
    from pocketrec.validate.timing import with_latency

    recipe = prepared.recipe
    expected = {name: RUNTIMES[target.format or name] for name, target in recipe.targets.items()}
    results = [reference.result()]
    for target, runtimes in expected.items():
        for runtime in runtimes:
            results.append(
                examine_target(
                    target,
                    runtime,
                    artifacts[target],
                    reference=reference,
                    gates=recipe.gates,
                    progress=report,
                    workers=workers,
                )
            )
    timed = with_latency(results, reference, artifacts, recipe.latency, progress=report)
    sizes = _sizes(artifacts, folder)
    budgets = check_budgets(recipe.gates, recipe.compress, sizes, timed, list(expected))
    return Evidence(
        recipe=recipe.name,
        recipe_sha256=recipe.sha256(),
        contract_sha256=prepared.contract.sha256(),
        machine=this_machine(),
        versions=tool_versions(),
        results=tuple(timed),
        sizes=sizes,
        rewrites=_rewrites(captures),
        gates=(*check_gates(recipe.gates, timed, expected=expected), *budgets),
        notes=_notes(prepared),
    )


def _notes(prepared: Prepared) -> tuple[str, ...]:
    """How the model was loaded: which tables were streamed, and what else is to be said of it."""
    if prepared.streamed is None:
        return prepared.notes
    tables = ", ".join(
        f"{each.name} ({each.rows} × {each.span.shape[1]})" for each in prepared.streamed.tables
    )
    return (f"Streamed from the checkpoint, never held: {tables}.", *prepared.streamed.notes, *prepared.notes)


def with_compression(
    evidence: Evidence,
    compression: Compression,
    original: Reference,
    reference: Reference,
    captures: Mapping[str, Capture],
    asked: Compress,
) -> Evidence:
    """The evidence with what compression did and cost; artifacts were compared with what it made."""
    from pocketrec.validate.measure.ranking import compare_quality

    before = original.result()
    cost = compare_quality(original.quality, reference.quality)
    compressed = replace(before, target=COMPRESSED, ranking=cost)
    rows = audit(compression, captures)
    first, *rest = evidence.results
    return replace(
        evidence,
        results=(replace(before, latency=first.latency), compressed, *rest),
        gates=(*check_loss(asked, cost), *evidence.gates),
        compression=rows,
    )


def _sizes(artifacts: Mapping[str, Mapping[str, Path]], folder: Path) -> tuple[ArtifactSize, ...]:
    from pocketrec.validate.artifact.sizes import artifact_bytes, tensor_sizes

    functions: dict[tuple[str, Path], list[str]] = {}
    for target, each in artifacts.items():
        for function, path in each.items():
            functions.setdefault((target, path), []).append(function)
    return tuple(
        ArtifactSize(
            target=target,
            function=", ".join(names),
            path=str(path.relative_to(folder)),
            size_bytes=artifact_bytes(path),
            tensors=tensor_sizes(path),
        )
        for (target, path), names in functions.items()
    )


def _rewrites(captures: Mapping[str, Capture]) -> tuple[RewriteResult, ...]:
    return tuple(
        RewriteResult(
            function=name,
            name=each.name,
            where=each.where,
            reason=each.reason,
            max_abs_error=each.max_abs_error,
            probes=each.probes,
        )
        for name, captured in captures.items()
        for each in captured.rewrites
    )
