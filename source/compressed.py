"""The plan's schemes for a module with stubs: codecs for its tables, codes for everything else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from pocketrec.quantize import Plan, QuantizedTensor, compress
from pocketrec.quantize.reference import compressible
from pocketrec.quantize.usage import UNKNOWN, Usages
from pocketrec.source.streamed import StreamedModule
from pocketrec.source.tables import encoded_by


def compress_streamed(
    streamed: StreamedModule, plan: Plan, *, usage: Usages | None = None
) -> tuple[StreamedModule, Mapping[str, QuantizedTensor]]:
    """The module with codecs for its tables and dequantized values elsewhere, and the codes of the latter.

    Args:
        streamed: with stubs for its tables.
        plan: which tensors, and how.
        usage: what is known of how a tensor is used, by its name.

    Raises:
        PlanError: a pattern fits nothing, or a scheme needs a table at once.
        TableError: a sampled row is not finite.
    """
    chosen = plan.schemes_for(compressible(streamed.module))
    names = {each.name for each in streamed.tables}
    rest = Plan(tensors={name: scheme for name, scheme in chosen.items() if name not in names})
    known = usage or {}
    module, codes = compress(streamed.module, rest, usage=known)
    tables = tuple(
        encoded_by(each, chosen[each.name], usage=known.get(each.name, UNKNOWN))
        if each.name in chosen
        else each
        for each in streamed.tables
    )
    return replace(streamed, module=module, tables=tables), codes
