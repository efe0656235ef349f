"""A module as a plan leaves it: codes, the values that they stand for, and codecs for tables on disk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from torch import nn

from pocketrec.quantize import Plan, QuantizedTensor, compress
from pocketrec.quantize.reference import compressible, to_array
from pocketrec.quantize.usage import UNKNOWN, Usages
from pocketrec.source.mapped import value_spans
from pocketrec.source.model import Trials
from pocketrec.source.streamed import Stubbed
from pocketrec.source.tables import encoded_by


@dataclass(frozen=True, slots=True, kw_only=True)
class Compression:
    """What was decided and made.

    Attributes:
        original: the module as it was; a table on disk is a stub.
        module: with the compressed values, as it is captured; a table on disk is a stub.
        plan: which tensor is compressed how.
        codes: by tensor name; stubs of those of a table on disk.
        sqnr_db: of every compressed tensor, by name.
    """

    original: nn.Module
    module: nn.Module
    plan: Plan
    codes: Mapping[str, QuantizedTensor]
    sqnr_db: Mapping[str, float]


def compress_core(
    core: Stubbed,
    plan: Plan,
    *,
    usage: Usages | None = None,
    made: Mapping[str, QuantizedTensor] | None = None,
) -> tuple[Stubbed, Mapping[str, QuantizedTensor]]:
    """The module with codecs for its tables and dequantized values elsewhere, and the codes of the latter.

    Args:
        core: the module, stubs in place of tables on disk.
        plan: which tensors, and how.
        usage: what is known of how a tensor is used, by its name.
        made: tensors in memory that are in the planned form already, by name.

    Raises:
        PlanError: a pattern fits nothing, or a scheme needs a table at once.
        TableError: a sampled row is not finite.
    """
    chosen = plan.schemes_for(compressible(core.lowered))
    names = {each.name for each in core.tables}
    rest = Plan(tensors={name: scheme for name, scheme in chosen.items() if name not in names})
    known = usage or {}
    module, codes = compress(core.lowered, rest, usage=known, made=made)
    tables = tuple(
        encoded_by(each, chosen[each.name], usage=known.get(each.name, UNKNOWN))
        if each.name in chosen
        else each
        for each in core.tables
    )
    return replace(core, lowered=module, tables=tables), codes


def compress_trials(
    trials: Trials,
    plan: Plan,
    usage: Usages,
    values: Path,
    *,
    made: Mapping[str, QuantizedTensor] | None = None,
) -> tuple[Trials, Compression]:
    """The same trials of the module compressed as planned, and what was done.

    Args:
        trials: of the module as it is.
        plan: which tensor is compressed how.
        usage: what calibration knows of its tensors.
        values: a folder that gets what compressed tables on disk stand for.
        made: tensors in memory that are in the planned form already, by name.

    Raises:
        PlanError: a scheme does not fit its tensor, or needs a table on disk at once.
        TableError: a table on disk holds a number that is not finite.
        StorageError: there is no room in `values`.
    """
    original = trials.core
    core, codes = compress_core(original, plan, usage=usage, made=made)
    written = value_spans([each for each in core.tables if each.parts], values)
    tables = {each.name: each.tensor() for each in core.tables if each.parts}
    tensors = compressible(original.lowered)
    lost = {name: each.sqnr_db(to_array(tensors[name])) for name, each in codes.items()}
    compression = Compression(
        original=original.lowered,
        module=core.lowered,
        plan=plan,
        codes={**codes, **tables},
        sqnr_db=lost | {name: written[name].sqnr_db for name in tables},
    )
    spans = {**trials.spans, **{name: each.span for name, each in written.items()}}
    return trials.of(core, spans), compression
