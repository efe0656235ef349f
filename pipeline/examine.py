"""The evidence of a build: every target's results timed and gated, and what compression cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

from pocketrec.convert.targets import row_of
from pocketrec.pipeline.audit import audit
from pocketrec.pipeline.compression import check_cost, check_loss
from pocketrec.pipeline.opening import formats, functions_in, opener
from pocketrec.pipeline.road import Built, Compressed
from pocketrec.progress import Progress
from pocketrec.recipe import Recipe
from pocketrec.report import COMPRESSED, ArtifactSize, Evidence, GateResult, RankingParity, RewriteResult
from pocketrec.source.model import Model


def evidence_of(
    built: Built, recipe: Recipe, folder: Path, report: Progress, said: Sequence[str] = ()
) -> Evidence:
    """What was found out of a build whose targets were all delivered: timed, gated, sized.

    Args:
        built: by the road.
        recipe: with its targets resolved.
        folder: that the artifacts' paths are relative to.
        report: told what is being done.
        said: what the checks of the contract found.
    """
    from pocketrec.validate.budgets import check_budgets
    from pocketrec.validate.controls.decoys import check_decoys
    from pocketrec.validate.gates import check_assumptions, check_gates
    from pocketrec.validate.measure.digest import data_sha256
    from pocketrec.validate.measure.machine import this_machine, tool_versions
    from pocketrec.validate.timing import with_latency

    expected = {name: tuple(row_of(name, target).runtimes) for name, target in recipe.targets.items()}
    artifacts = {name: each.artifacts for name, each in built.delivered.items()}
    results = [built.reference.result()]
    for name in expected:
        results += built.delivered[name].results
    open_with = opener(recipe.targets, artifacts)
    timed = with_latency(
        results, built.reference, artifacts, recipe.latency, progress=report, open_with=open_with
    )
    sizes = _sizes(artifacts, folder)
    budgets = check_budgets(recipe.gates, recipe.compress, sizes, timed, list(expected))
    model = next(iter(built.delivered.values())).attempt.trial.model
    digests = {each.asked.name: data_sha256(each.asked.data) for each in built.reference.evaluations}
    evidence = Evidence(
        recipe=recipe.name,
        recipe_sha256=recipe.sha256(),
        contract_sha256=model.contract.sha256(),
        machine=this_machine(),
        versions=tool_versions(),
        results=tuple(timed),
        sizes=sizes,
        rewrites=_rewrites(built),
        gates=(
            *check_gates(
                recipe.gates, timed, expected=expected, stressed=recipe.stress.rows > 0, held=recipe.held
            ),
            *check_decoys(recipe.held, built.reference, timed),
            *check_assumptions(recipe.gates, built.assumptions),
            *budgets,
        ),
        notes=(*_notes(model), *said, *built.remarks),
        data_sha256=next(iter(digests.values()), ""),
        further_data=dict(islice(digests.items(), 1, None)),
    )
    if built.compressed is None:
        return evidence
    return _with_compression(evidence, built, built.compressed, recipe)


def _notes(model: Model) -> tuple[str, ...]:
    """How the model was loaded, and which of its tables were streamed."""
    core = model.core
    if not core.tables:
        return core.notes
    tables = ", ".join(f"{each.name} ({each.rows} × {each.span.shape[1]})" for each in core.tables)
    return (f"Streamed from the checkpoint, never held: {tables}.", *core.notes)


def _with_compression(evidence: Evidence, built: Built, compressed: Compressed, recipe: Recipe) -> Evidence:
    """The evidence with what compression did and cost; artifacts were compared with what it made."""
    costs = _costs(built)
    line = built.original.result()
    captures = next(iter(built.delivered.values())).attempt.captures
    first, *rest = evidence.results
    cost = replace(line, target=COMPRESSED, ranking=costs[0], further=costs[1:])
    gates = [
        gate
        for each in costs
        for gate in (
            *check_loss(recipe.compress.of(each.name), each),
            *check_cost(recipe.held[each.name], each),
        )
    ]
    return replace(
        evidence,
        results=(replace(line, latency=first.latency), cost, *rest),
        gates=(*gates, *evidence.gates),
        compression=audit(compressed.compression, captures),
        front=compressed.planned.front,
        activations=compressed.rounded,
        notes=(*evidence.notes, *built.notes),
    )


def _cost_gates(recipe: Recipe, cost: RankingParity) -> tuple[GateResult, ...]:
    """The gates on what compression cost one evaluation."""
    return (
        *check_loss(recipe.compress.of(cost.name), cost),
        *check_cost(recipe.held[cost.name], cost),
    )


def _costs(built: Built) -> tuple[RankingParity, ...]:
    """What compression cost in each evaluation: what artifacts were compared with, beside the original."""
    from pocketrec.validate.evaluated import compared

    pairs = zip(built.original.evaluations, built.reference.evaluations, strict=True)
    return tuple(
        compared(before.quality, after.quality, before, built.reference.contract) for before, after in pairs
    )


def _sizes(artifacts: Mapping[str, Mapping[str, Path]], folder: Path) -> tuple[ArtifactSize, ...]:
    from pocketrec.validate.artifact.sizes import weigh

    known, found = formats(), []
    for (target, path), names in functions_in(artifacts).items():
        size_bytes, tensors = weigh(path, formats=known)
        size = ArtifactSize(
            target=target,
            function=", ".join(names),
            path=str(path.relative_to(folder)),
            size_bytes=size_bytes,
            tensors=tensors,
        )
        found.append(size)
    return tuple(found)


def _rewrites(built: Built) -> tuple[RewriteResult, ...]:
    return tuple(
        RewriteResult(
            function=function,
            name=each.name,
            where=each.where,
            reason=each.reason,
            max_abs_error=each.max_abs_error,
            probes=each.probes,
        )
        for function, each in built.rewrites
    )
