"""A function captured around stubs, with every proof carried out on a stand-in that has values.

The stand-in is the module with the first rows of each table and the contract to match. What is
shown for it holds for the large module where both give the same graph, op for op; that is checked.
A module that cannot be cut (sizes in its code) is proved with its tables memory-mapped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import torch
from torch import Tensor, fx, nn

from pocketrec.contract import Contract, Feature, Output, VocabularySpec
from pocketrec.convert.capture.capture import Capture, capture
from pocketrec.convert.capture.export import export_module, lower_program
from pocketrec.convert.rewrite import FUNCTION_RULES, replace_modules
from pocketrec.convert.watch.contract_module import ContractModule
from pocketrec.convert.watch.intercept import Interception, rules_by_function
from pocketrec.errors import ConversionError, PocketrecError, Refused
from pocketrec.source.streamed import Stubbed, mapped_tensor, with_tensors
from pocketrec.source.stubs import number_of
from pocketrec.source.tables import Table, first_rows

Inputs = Mapping[str, Tensor]
E = TypeVar("E", Feature, Output)

ROWS = 2048  # of a stand-in's tables
# What leaves every number of a table as it is.
_VIEWS = frozenset(
    ["t", "numpy_T", "transpose", "permute", "detach", "detach_", "alias", "clone", "contiguous"]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _StandIn:
    module: nn.Module
    contract: Contract
    probes: Sequence[Inputs]


def capture_streamed(
    streamed: Stubbed, contract: Contract, function: str, probes: Sequence[Inputs]
) -> Capture:
    """The function captured around stubs; to be lowered with the tables that the stubs stand for.

    Raises:
        Refused: the function cannot be captured, or computes a constant from a table, which would
            have to be held for it.
    """
    try:
        stand_in = _cut(streamed, contract, probes)
        proved = capture(stand_in.module, stand_in.contract, function, stand_in.probes)
    except (PocketrecError, RuntimeError, IndexError):
        places = _places(streamed)
        mapped = with_tensors(
            streamed.lowered, {places[each.number]: mapped_tensor(each.span) for each in streamed.tables}
        )
        proved = capture(mapped, contract, function, probes)
    _check_values_free(proved, function)
    example = tuple(
        _like(each, size)
        for each, size in zip(_example(contract, function, probes), proved.example, strict=True)
    )
    rewritten, _ = replace_modules(streamed.lowered)
    signature = contract.functions[function]
    module = ContractModule(streamed.lowered, contract, signature).eval()
    module = module.using(rewritten, Interception(rules=rules_by_function(FUNCTION_RULES)))
    exported = export_module(module, example, contract.dims, function)
    _check_constants(exported, streamed.tables, function)
    program = lower_program(exported, signature, example, contract.dims, function)
    _check_same(proved.program, program, function)
    return Capture(
        name=function,
        contract=contract,
        module=module,
        program=program,
        example=example,
        rewrites=proved.rewrites,
        assumptions=proved.assumptions,
    )


def _example(contract: Contract, function: str, probes: Sequence[Inputs]) -> tuple[Tensor, ...]:
    return tuple(probes[0][each.name] for each in contract.functions[function].inputs)


def _like(value: Tensor, sized: Tensor) -> Tensor:
    """The value repeated or cut to another's shape."""
    for axis, size in enumerate(sized.shape):
        value = value.index_select(axis, torch.arange(size) % value.shape[axis])
    return value


def _places(streamed: Stubbed) -> dict[int, str]:
    """Where the stub of each number stands: a module that is wrapped has longer names than its tables."""
    everything = (*streamed.lowered.named_parameters(), *streamed.lowered.named_buffers())
    numbered = ((number_of(tensor), name) for name, tensor in everything)
    return {number: name for number, name in numbered if number is not None}


def _cut(streamed: Stubbed, contract: Contract, probes: Sequence[Inputs]) -> _StandIn:
    """The module with at most `ROWS` rows of every table, and contract and probes to match."""
    sizes = {each.rows: min(each.rows, ROWS) for each in streamed.tables}
    places = _places(streamed)
    new = {
        places[each.number]: torch.from_numpy(first_rows(each.span, sizes[each.rows]))
        for each in streamed.tables
    }
    everything = (*streamed.lowered.named_parameters(), *streamed.lowered.named_buffers())
    for name, tensor in everything:  # what has one number per row, such as a bias over the catalogue
        if tensor.ndim and tensor.shape[0] in sizes and name not in new and number_of(tensor) is None:
            new[name] = tensor[: sizes[tensor.shape[0]]].detach()
    return _StandIn(
        module=with_tensors(streamed.lowered, new),
        contract=_cut_contract(contract, sizes),
        probes=[_cut_probe(contract, each, sizes) for each in probes],
    )


def _cut_contract(contract: Contract, sizes: Mapping[int, int]) -> Contract:
    def inside(value: int | None, size: int) -> int | None:
        return value if value is None else min(value, size - 1)

    def vocabulary(spec: VocabularySpec) -> VocabularySpec:
        size = sizes.get(spec.size, spec.size)
        padding_id, unknown_id = inside(spec.padding_id, size), inside(spec.unknown_id, size)
        return replace(spec, size=size, padding_id=padding_id, unknown_id=unknown_id)

    def cut(each: E) -> E:
        shape = tuple(sizes.get(size, size) if isinstance(size, int) else size for size in each.shape)
        return replace(each, shape=shape)

    functions = {
        name: replace(
            each,
            inputs=tuple(cut(feature) for feature in each.inputs),
            outputs=tuple(cut(output) for output in each.outputs),
        )
        for name, each in contract.functions.items()
    }
    return replace(
        contract,
        functions=functions,
        vocabularies={name: vocabulary(each) for name, each in contract.vocabularies.items()},
    )


def _cut_probe(contract: Contract, probe: Inputs, sizes: Mapping[int, int]) -> Inputs:
    """Ids beyond the rows that are left become others; ids outside the vocabulary stay outside."""
    found = dict(probe)
    for signature in contract.functions.values():
        for each in signature.inputs:
            spec = contract.vocabularies[each.vocabulary] if each.vocabulary else None
            size = sizes.get(spec.size) if spec else None
            if spec is None or size is None or each.name not in probe:
                continue
            ids = probe[each.name]
            inside = (ids >= 0) & (ids < spec.size)
            found[each.name] = torch.where(inside, torch.where(ids < size, ids, ids % size), ids)
    return found


def _check_values_free(proved: Capture, function: str) -> None:
    """Checks that the capture rests on no value of a table; else Refused."""
    plan = proved.module.interception
    if plan is not None and (plan.replayed or plan.choices):
        raise Refused(
            op="capture",
            where="",
            reason=f"function {function}: a constant of the module's code has to be replayed, which "
            "cannot be done around a streamed table",
            remedy="raise model.stream_mb above the table's size",
        )


def _check_constants(program: torch.export.ExportedProgram, tables: Sequence[Table], function: str) -> None:
    """Checks that no constant is computed from a table; Refused names the op that does."""
    signature = program.graph_signature
    places = {**signature.inputs_to_parameters, **signature.inputs_to_buffers}
    held = {place: program.state_dict.get(name) for place, name in places.items()}
    constant = {node for node in program.graph.nodes if node.op == "placeholder" and node.name in held}
    tainted = {node for node in constant if number_of(held[node.name]) is not None}
    for node in program.graph.nodes:
        if node.op != "call_function" or not node.all_input_nodes:
            continue
        if not all(each in constant for each in node.all_input_nodes):
            continue
        constant.add(node)
        if not any(each in tainted for each in node.all_input_nodes):
            continue
        tainted.add(node)
        if _op_name(node) not in _VIEWS:
            name = tables[number_of(held[_root(node, tainted).name]) or 0].name
            raise Refused(
                op=str(node.target),
                where="",
                reason=f"function {function} computes a constant from the streamed table {name}",
                remedy="store the result in the checkpoint, or raise model.stream_mb above its size",
            )


def _root(node: fx.Node, tainted: set[fx.Node]) -> fx.Node:
    while node.op != "placeholder":
        node = next(each for each in node.all_input_nodes if each in tainted)
    return node


def _op_name(node: fx.Node) -> str:
    packet = getattr(node.target, "overloadpacket", node.target)
    return str(getattr(packet, "__name__", packet))


def _check_same(
    proved: torch.export.ExportedProgram, program: torch.export.ExportedProgram, function: str
) -> None:
    ops = [
        [str(node.target) for node in each.graph.nodes if node.op == "call_function"]
        for each in (proved, program)
    ]
    if ops[0] != ops[1]:
        raise ConversionError(
            f"function {function}: its graph depends on the number of a table's rows, so what was proved "
            "for few does not hold for all; raise model.stream_mb above the table's size"
        )
