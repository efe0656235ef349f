"""The evidence of a build: every target's results timed and gated, and what compression cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pocketrec.convert.targets import row_of
from pocketrec.pipeline.audit import audit
from pocketrec.pipeline.compression import check_loss
from pocketrec.pipeline.opening import formats, open_artifact
from pocketrec.pipeline.road import Built, Compressed
from pocketrec.progress import Progress
from pocketrec.recipe import Compress, Recipe
from pocketrec.report import COMPRESSED, ArtifactSize, Evidence, RewriteResult
from pocketrec.source.model import Model

if TYPE_CHECKING:
    from pocketrec.convert.capture.capture import Capture


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
    from pocketrec.validate.gates import check_gates
    from pocketrec.validate.measure.machine import this_machine, tool_versions
    from pocketrec.validate.timing import with_latency

    expected = {name: tuple(row_of(name, target).runtimes) for name, target in recipe.targets.items()}
    artifacts = {name: each.artifacts for name, each in built.delivered.items()}
    results = [built.reference.result()]
    for name in expected:
        results += built.delivered[name].results
    timed = with_latency(
        results, built.reference, artifacts, recipe.latency, progress=report, open_with=open_artifact
    )
    sizes = _sizes(artifacts, folder)
    budgets = check_budgets(recipe.gates, recipe.compress, sizes, timed, list(expected))
    model = next(iter(built.delivered.values())).attempt.trial.model
    evidence = Evidence(
        recipe=recipe.name,
        recipe_sha256=recipe.sha256(),
        contract_sha256=model.contract.sha256(),
        machine=this_machine(),
        versions=tool_versions(),
        results=tuple(timed),
        sizes=sizes,
        rewrites=_rewrites(built),
        gates=(*check_gates(recipe.gates, timed, expected=expected), *budgets),
        notes=(*_notes(model), *said, *_ways(built)),
    )
    if built.compressed is None:
        return evidence
    return _with_compression(evidence, built, built.compressed, recipe.compress)


def _ways(built: Built) -> tuple[str, ...]:
    """What is to be said of how artifacts were made, where it was not the first way, and what they assume."""
    notes = [f"{name}: {note}" for name, each in built.delivered.items() for note in each.notes]
    for delivered in built.delivered.values():
        for captured in delivered.attempt.captures.values():
            notes += [f"assumed: {each}" for each in captured.assumptions]
    return tuple(dict.fromkeys(notes))


def _notes(model: Model) -> tuple[str, ...]:
    """How the model was loaded, and which of its tables were streamed."""
    core = model.core
    if not core.tables:
        return core.notes
    tables = ", ".join(f"{each.name} ({each.rows} × {each.span.shape[1]})" for each in core.tables)
    return (f"Streamed from the checkpoint, never held: {tables}.", *core.notes)


def _with_compression(evidence: Evidence, built: Built, compressed: Compressed, asked: Compress) -> Evidence:
    """The evidence with what compression did and cost; artifacts were compared with what it made."""
    from pocketrec.validate.measure.ranking import compare_quality

    before, after = built.original.quality, built.reference.quality
    assert before is not None
    assert after is not None
    line = built.original.result()
    cost = compare_quality(before, after)
    captures = next(iter(built.delivered.values())).attempt.captures
    first, *rest = evidence.results
    return replace(
        evidence,
        results=(replace(line, latency=first.latency), replace(line, target=COMPRESSED, ranking=cost), *rest),
        gates=(*check_loss(asked, cost), *evidence.gates),
        compression=audit(compressed.compression, captures),
        front=compressed.planned.front,
        activations=compressed.rounded,
        notes=(*evidence.notes, *built.notes),
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
            size_bytes=artifact_bytes(path, formats=formats()),
            tensors=tensor_sizes(path, formats=formats()),
        )
        for (target, path), names in functions.items()
    )


def _rewrites(built: Built) -> tuple[RewriteResult, ...]:
    found: dict[tuple[str, str, str], RewriteResult] = {}
    for delivered in built.delivered.values():
        captures: Mapping[str, Capture] = delivered.attempt.captures
        for name, captured in captures.items():
            for each in captured.rewrites:
                result = RewriteResult(
                    function=name,
                    name=each.name,
                    where=each.where,
                    reason=each.reason,
                    max_abs_error=each.max_abs_error,
                    probes=each.probes,
                )
                found.setdefault((name, each.name, each.where), result)
    return tuple(found.values())
