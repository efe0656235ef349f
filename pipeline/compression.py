"""Compression within the pipeline: the plan, the compressed reference, the audit and the budget's gates.

recipe.compress ─▶ plan ─▶ compressed module + codes ─▶ audit, and gates on the ranking's loss
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pocketrec.errors import PlanError
from pocketrec.recipe import Compress, Target
from pocketrec.report import COMPRESSED, CompressedTensor, GateResult, RankingParity

if TYPE_CHECKING:
    from torch import nn

    from pocketrec.convert.capture.capture import Capture
    from pocketrec.quantize import Plan, QuantizedTensor
    from pocketrec.quantize.usage import Usages
    from pocketrec.source.model import Prepared

_LARGE_CONSTANT = 2048  # numbers; of fewer nobody asks why they were not compressed
# Half a per cent of NDCG is below what evaluation resolves; AUC has the same meaning at 0.0005.
NEUTRAL_NDCG_LOSS, NEUTRAL_AUC_LOSS = 0.005, 0.0005


@dataclass(frozen=True, slots=True, kw_only=True)
class Compression:
    """What was decided and made.

    Attributes:
        original: the module as it was; a streamed table is a stub.
        module: with the compressed values, as it is captured; a streamed table is a stub.
        plan: which tensor is compressed how.
        codes: by tensor name; stubs of those of a streamed table.
        sqnr_db: of every compressed tensor, by name.
    """

    original: nn.Module
    module: nn.Module
    plan: Plan
    codes: Mapping[str, QuantizedTensor]
    sqnr_db: Mapping[str, float]


def compress_module(plan: Plan, module: nn.Module, usage: Usages) -> Compression:
    """The module compressed as planned; raises PlanError where a scheme does not fit its tensor."""
    from pocketrec.quantize import compress as run

    made, codes = run(module, plan, usage=usage)
    lost = _sqnr_db(module, codes)
    return Compression(original=module, module=made, plan=plan, codes=codes, sqnr_db=lost)


def compress_prepared(
    plan: Plan, prepared: Prepared, usage: Usages, values: Path
) -> tuple[Prepared, Compression]:
    """The model compressed as planned, and what was done.

    Args:
        plan: which tensor is compressed how.
        prepared: the model.
        usage: what calibration knows of its tensors.
        values: a folder that gets what large tables stand for.

    Raises:
        PlanError: a scheme does not fit its tensor, or needs a streamed table at once.
        TableError: a streamed table holds a number that is not finite.
        StorageError: there is no room in `values`.
    """
    streamed = prepared.streamed
    if streamed is None:
        compression = compress_module(plan, prepared.module, usage)
        return replace(prepared, module=compression.module), compression
    from pocketrec.source.compressed import compress_streamed
    from pocketrec.source.mapped import mapped_module, value_spans

    made, codes = compress_streamed(streamed, plan, usage=usage)
    found = value_spans(made.tables, values)
    spans = {name: each.span for name, each in found.items()}
    tables = {each.name: each.tensor() for each in made.tables if each.parts}
    compression = Compression(
        original=streamed.module,
        module=made.module,
        plan=plan,
        codes={**codes, **tables},
        sqnr_db=_sqnr_db(streamed.module, codes) | {name: found[name].sqnr_db for name in tables},
    )
    module = mapped_module(made.module, spans)
    return replace(prepared, module=module, streamed=made, spans=spans), compression


def _sqnr_db(module: nn.Module, codes: Mapping[str, QuantizedTensor]) -> dict[str, float]:
    from pocketrec.quantize.reference import compressible, to_array

    tensors = compressible(module)
    return {name: each.sqnr_db(to_array(tensors[name])) for name, each in codes.items()}


def explicit_plan(
    compress: Compress, module: nn.Module, read: Collection[str], usage: Usages | None = None
) -> Plan:
    """The plan that the recipe states, in words or by a preset that needs no search.

    Args:
        compress: as in the recipe.
        module: the original.
        read: names of the tensors that some function reads; presets plan no others.
        usage: what calibration knows of the tensors; presets round with error feedback where it can.
    """
    from pocketrec.quantize import plan_from_table
    from pocketrec.quantize.presets import preset_plan
    from pocketrec.quantize.reference import compressible

    if compress.preset is None:
        return plan_from_table(compress.tensors)
    shapes = {name: tuple(each.shape) for name, each in compressible(module).items() if name in read}
    plan = preset_plan(compress.preset, shapes, usage or {})
    if not plan.tensors:
        raise PlanError(
            f"compress: preset {compress.preset!r} finds no float32 table or matrix that a function reads as "
            "it is, so nothing would be compressed; leave compress out, or keep what is read in a buffer"
        )
    return plan


def tensors_read(module: nn.Module, captures: Mapping[str, Capture]) -> dict[str, tuple[str, ...]]:
    """The functions that read each float tensor of the module, by tensor name; captured from that module."""
    from pocketrec.convert.lower.carry import ValueIndex
    from pocketrec.quantize.reference import compressible, to_array
    from pocketrec.source.stubs import stub_or

    index = ValueIndex({name: stub_or(to_array(each)) for name, each in compressible(module).items()})
    read = {function: index.read_by(captured.program) for function, captured in captures.items()}
    return {
        name: tuple(function for function, names in read.items() if name in names)
        for name in compressible(module)
    }


def left_out_notes(names: Iterable[str]) -> tuple[str, ...]:
    """What is to be said of tensors that a preset or a search could not compress, one sentence each."""
    return tuple(f"{name} stays in float32: a graph holds it only folded into others" for name in names)


def constant_notes(module: nn.Module, captures: Mapping[str, Capture]) -> tuple[str, ...]:
    """What is to be said of large constants that are no tensor of the module, one sentence each."""
    from pocketrec.convert.lower.carry import ValueIndex, tensors_of
    from pocketrec.quantize.reference import compressible, to_array
    from pocketrec.source.stubs import stub_or

    index = ValueIndex({name: stub_or(to_array(each)) for name, each in compressible(module).items()})
    found = {}
    for function, captured in captures.items():
        for each in tensors_of(captured.program):
            large = each.is_floating_point() and each.numel() >= _LARGE_CONSTANT
            if large and not index.find(stub_or(to_array(each)))[0]:
                size = " × ".join(map(str, each.shape))
                found[size] = (
                    f"a constant of {size} that {function} computes from weights stays in float32: keep it "
                    "in a buffer of the module to compress it"
                )
    return tuple(found.values())


def audit(compression: Compression, captures: Mapping[str, Capture]) -> tuple[CompressedTensor, ...]:
    """Every float tensor of the original module, as asked and as done, largest afterwards first.

    Raises:
        PlanError: a tensor is planned that no function reads, so that no artifact holds its codes.
    """
    from pocketrec.quantize.reference import compressible

    tensors, codes = compressible(compression.original), compression.codes
    asked = compression.plan.schemes_for(tensors)
    read = tensors_read(compression.module, captures)
    after = {name: codes[name].size_bytes if name in codes else 4 * t.numel() for name, t in tensors.items()}
    total = sum(after.values())
    rows = []
    for name, tensor in tensors.items():
        done = codes.get(name)
        functions = read[name]
        if done is not None and not functions:
            raise PlanError(
                f"{name}: no function reads it, unless folded into another constant; leave it out of "
                "compress.tensors"
            )
        rows.append(
            CompressedTensor(
                name=name,
                shape=tuple(tensor.shape),
                asked=_describe(asked[name]) if name in asked else "",
                done="float32" if done is None else done.describe(),
                functions=functions,
                bits=8 * after[name] / tensor.numel(),
                bytes_before=4 * tensor.numel(),
                bytes_after=after[name],
                sqnr_db=compression.sqnr_db.get(name, float("inf")),
                share=after[name] / total,
            )
        )
    return tuple(sorted(rows, key=lambda each: (-each.bytes_after, each.name)))


def _describe(scheme: Any) -> str:
    from pocketrec.quantize.schemes import scheme_to_table

    return json.dumps(scheme_to_table(scheme), separators=(", ", " = ")).replace('"', "")


def check_gathered_names(targets: Mapping[str, Target], codes: Collection[str]) -> None:
    """Nothing where every pattern of a target's gather_codes fits a compressed tensor; else PlanError."""
    for target, each in targets.items():
        for pattern in each.gather_codes:
            if not any(fnmatchcase(name, pattern) for name in codes):
                known = ", ".join(list(codes)[:8]) or "none"
                raise PlanError(
                    f"targets.{target}.gather_codes: {pattern!r} fits no compressed tensor; there are {known}"
                )


def limits(compress: Compress, reference: Mapping[str, float]) -> dict[str, float]:
    """The largest loss of each metric, by its name, that compression may cost; as stated, or neutral.

    None where the recipe states a size and no loss: then loss is what is minimized, and not gated.
    """
    sized = compress.max_size_mb is not None or compress.max_ratio is not None
    lossy = compress.max_ndcg_drop is not None or compress.max_auc_drop is not None
    if sized and not lossy and compress.preset is None:
        return {}
    found = {}
    for name, value in reference.items():
        if name.startswith("ndcg@"):
            neutral = NEUTRAL_NDCG_LOSS * value
            found[name] = neutral if compress.max_ndcg_drop is None else compress.max_ndcg_drop
        if name == "auc":
            found[name] = NEUTRAL_AUC_LOSS if compress.max_auc_drop is None else compress.max_auc_drop
    return found


def check_loss(compress: Compress, ranking: RankingParity) -> tuple[GateResult, ...]:
    """The gates on what compression cost: the compressed reference against the original."""
    found = []
    for name, limit in limits(compress, ranking.reference).items():
        before, after = ranking.reference[name], ranking.artifact.get(name, float("nan"))
        message = f"{after:.5f} compressed, {before:.5f} before; limit: at most {limit:.5f} less"
        found.append((f"compression loss: {name}", before - after <= limit, message))
    if compress.min_top_k_overlap is not None:
        overlap = float("nan") if ranking.top_k_overlap is None else ranking.top_k_overlap
        message = f"top-k overlap {overlap:.4f}, limit at least {compress.min_top_k_overlap:g}"
        found.append(("compression loss: top-k overlap", overlap >= compress.min_top_k_overlap, message))
    return tuple(
        GateResult(
            gate=gate,
            target=COMPRESSED,
            runtime="pytorch",
            status="passed" if passed else "failed",
            message=message,
        )
        for gate, passed, message in found
    )
