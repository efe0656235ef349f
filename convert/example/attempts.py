"""The trials of a module and its example: a contract with a free batch, then one with the example's.

A trial has the module behind positional tensors, a contract, and probes with what the user's own
module gives for them. With a contract that was stated, and an example that is as it says, the module
is tried as a recipe's is (see `stated`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from pocketrec.contract import Contract
from pocketrec.convert.example.far import far_probes
from pocketrec.convert.example.probes import proved_probes
from pocketrec.errors import BeyondInt32, ContractError, Refused
from pocketrec.source.model import Model, Trial, Trials

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn

    from pocketrec.convert.example.flatten import FlatExample, FlatModule
    from pocketrec.convert.example.infer import Shapes
    from pocketrec.source.checkpoint import Span
    from pocketrec.source.streamed import Stubbed


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    """A module and its example, ready to be tried: `flat` is captured, `reference` is what it must equal.

    Attributes:
        drafted: whether the contracts are a draft, which follows what the probes show.
    """

    module: nn.Module
    flat: FlatModule
    reference: FlatModule
    example: FlatExample
    free: Contract
    fixed: Contract | None
    note: str
    drafted: bool = False


def example_trials(
    module: nn.Module,
    example_inputs: object,
    contract: Contract | None,
    *,
    in_float32: bool = False,
    folder: Path | None = None,
    stream_bytes: int = 0,
) -> Trials:
    """The trials of `module`; ContractError where a given contract does not fit the example.

    Args:
        module: in eval mode.
        example_inputs: as the module takes them; by function where the contract has several.
        contract: replaces the inferred one.
        in_float32: whether a module in float64 is converted as one in float32, too.
        folder: for tables that are not to be held.
        stream_bytes: float32 matrices of so many bytes are put there; 0 keeps all.
    """
    from pocketrec.convert.example.stated import stated_trials
    from pocketrec.source.streamed import Stubbed, spilled

    _check_readable(module)
    if contract is not None:
        found = stated_trials(module, example_inputs, contract, folder, stream_bytes)
        if found is not None:
            return found
    first = _prepare(module, example_inputs, contract, in_float32=in_float32)
    core, spans = Stubbed(lowered=first.reference.module), dict[str, "Span"]()
    if folder is not None and stream_bytes:
        core, spans = spilled(core.lowered, folder, stream_bytes)
    return _made_from(first, core, spans, partial(_prepare, example_inputs=example_inputs, contract=contract))


def drafted_trials(
    core: Stubbed, spans: Mapping[str, Span], example_inputs: object, *, in_float32: bool = False
) -> Trials:
    """The trials of a module that was loaded, its tables perhaps on disk; their contract is a draft.

    Args:
        core: in eval mode.
        spans: where the values of its tables lie.
        example_inputs: as for `example_trials`, which raises the same.
        in_float32: likewise.
    """
    from pocketrec.source.mapped import mapped_module

    module = mapped_module(core.lowered, spans) if core.tables else core.lowered
    _check_readable(module)
    first = _prepare(module, example_inputs, None, in_float32=in_float32)
    if not core.tables:
        core = replace(core, lowered=first.reference.module)
    return _made_from(first, core, spans, partial(_prepare, example_inputs=example_inputs, contract=None))


def _made_from(
    first: _Job, core: Stubbed, spans: Mapping[str, Span], remake: Callable[[nn.Module], _Job]
) -> Trials:
    """The trials of a job, and of what `remake` makes of another core; the first one is made once."""
    known: list[Trial] = []

    def make(given: Stubbed, where: Mapping[str, Span]) -> Iterator[Trial]:
        from pocketrec.source.mapped import mapped_module

        job = first
        if given is not core:
            job = remake(mapped_module(given.lowered, where) if given.tables else given.lowered)
            yield _trial(job, given, where, job.free, job.note)
        else:
            if not known:
                known.append(_trial(job, given, where, job.free, job.note))
            yield known[0]
        if job.fixed is not None:
            yield _trial(job, given, where, job.fixed, "the batch is fixed")

    return Trials(core=core, spans=spans, make=make)


def _prepare(
    module: nn.Module, example_inputs: object, contract: Contract | None, *, in_float32: bool = False
) -> _Job:
    import torch

    from pocketrec.convert.example.flatten import FlatModule, flatten_example
    from pocketrec.source.weights import SIXTEEN_BITS, widened

    narrow = {*SIXTEEN_BITS, *((torch.float64,) if in_float32 else ())}
    example = flatten_example(module, example_inputs)
    shared = _own(module)
    own = widened(shared, narrow)
    if own is not shared:
        module = own
        example = replace(
            example, dtypes=tuple(torch.float32 if each in narrow else each for each in example.dtypes)
        )
        # A forward that casts to 16 bits by itself would meet layers of 32.
        example = replace(example, in_float32=not _runs(FlatModule(own, example), example))
    reference = FlatModule(own, example)
    flat = _visible(reference, example)
    if contract is not None:
        _check_contract(contract, example)
        return _Job(
            module=module,
            flat=flat,
            reference=reference,
            example=example,
            free=contract,
            fixed=None,
            note="",
        )
    return _inferred(module, flat, reference, example)


def _check_readable(module: nn.Module) -> None:
    """Checks that an exporter can read the module's weights."""
    for path, each in module.named_modules():
        if type(each).__module__.startswith(("torch.ao.nn.quantized", "torch.ao.nn.intrinsic.quantized")):
            raise Refused(
                op=type(each).__name__,
                where="",
                reason=f"{path or 'the module'} holds packed weights of PyTorch's own quantization, which no "
                "exporter reads",
                remedy="convert the module as it was before, and let a recipe compress it",
            )


def _runs(flat: FlatModule, example: FlatExample) -> bool:
    from pocketrec.convert.capture.checks import run

    try:
        run(flat, example.tensors)
    except Exception:
        return False
    return True


def _own(module: nn.Module) -> nn.Module:
    """A copy that shares the parameters, so that what a forward keeps stays out of the user's module."""
    from pocketrec.convert.rewrite import copy_sharing

    try:
        return copy_sharing(module)
    except Exception:  # a module may hold what cannot be copied; then it runs itself
        return module


def _visible(reference: FlatModule, example: FlatExample) -> FlatModule:
    """The module itself; for TorchScript, whose inside nothing sees, its graph as a module."""
    from pocketrec.convert.example.flatten import FlatModule
    from pocketrec.convert.example.scripted import visible

    args, _ = example.unflatten(example.tensors)
    module = visible(reference.module, args, lambda each: FlatModule(each, example).raw(*example.tensors))
    return reference if module is reference.module else FlatModule(module, example)


def _check_contract(contract: Contract, example: FlatExample) -> None:
    if list(contract.functions) != ["main"]:
        raise ContractError(f"the contract has functions {', '.join(contract.functions)}; expected main")
    _check_whole(contract, example)
    given = len(contract.functions["main"].inputs)
    if given != len(example.tensors):
        raise ContractError(
            f"the contract names {given} inputs; the example has {len(example.tensors)}: "
            f"{', '.join(example.names)}"
        )
    names = [each.name for each in contract.functions["main"].inputs]
    moved = [each for place, each in enumerate(example.names) if each in names and names[place] != each]
    if moved:
        raise ContractError(
            f"the contract's inputs are {', '.join(names)}; the example's are {', '.join(example.names)}: "
            f"put {moved[0]!r} where the example has it"
        )


def _check_whole(contract: Contract, example: FlatExample) -> None:
    for feature, tensor in zip(contract.functions["main"].inputs, example.tensors, strict=False):
        if feature.dtype == "int32" and str(tensor.dtype) == "torch.int64":
            raise ContractError(
                f"input {feature.name}: the example holds {int(tensor.min())} to {int(tensor.max())}, which "
                "int32 does not hold; declare dtype = 'int64'"
            )


def _inferred(module: nn.Module, flat: FlatModule, reference: FlatModule, example: FlatExample) -> _Job:
    from pocketrec.convert.capture.checks import run
    from pocketrec.convert.example.infer import find_shapes
    from pocketrec.convert.rewrite import copy_sharing
    from pocketrec.convert.watch.survey import tables_read

    # A run that fails half-way, as with a batch of one, may leave the module's own state changed.
    shapes = find_shapes(copy_sharing(flat), example.tensors)
    given = run(flat, example.tensors)
    tables = tables_read(flat, example.tensors)
    names, wide = _output_names(flat, example), _holds_wide(module)
    flat.outlines = reference.outlines = shapes.outputs

    def contract(chosen: Shapes) -> Contract:
        from pocketrec.convert.example.infer import infer_contract

        return infer_contract(
            example.names, example.tensors, example.dtypes, names, given, chosen, tables, wide=wide
        )

    still = shapes.fixed([tuple(each.shape) for each in given], "")
    fixed = contract(still) if shapes.batched else None
    return _Job(
        module=module,
        flat=flat,
        reference=reference,
        example=example,
        free=contract(shapes),
        fixed=fixed,
        note=shapes.note,
        drafted=True,
    )


def _holds_wide(module: nn.Module) -> bool:
    """Whether the module holds whole numbers beyond int32, which it may give out for other inputs."""
    import torch

    held = [each for each in (*module.parameters(), *module.buffers()) if each.dtype == torch.int64]
    ends = [int(end) for each in held if each.numel() for end in each.aminmax()]
    return any(not -(2**31) <= end < 2**31 for end in ends)


def _output_names(flat: FlatModule, example: FlatExample) -> tuple[str, ...]:
    import torch

    from pocketrec.convert.example.flatten import output_names

    with torch.no_grad():
        return output_names(flat.raw(*(each.clone() for each in example.tensors)), example.names)


def _trial(job: _Job, core: Stubbed, spans: Mapping[str, Span], contract: Contract, note: str) -> Trial:
    """The trial; an output of a draft is int64 where a probe shows a number beyond int32."""
    while True:
        try:
            return _probed(job, core, spans, contract, note)
        except BeyondInt32 as error:
            if not job.drafted:
                raise
            contract = _with_wide(contract, error.output)


def _with_wide(contract: Contract, name: str) -> Contract:
    signature = contract.functions["main"]
    outputs = tuple(replace(each, dtype="int64") if each.name == name else each for each in signature.outputs)
    return replace(contract, functions={"main": replace(signature, outputs=outputs)})


def _probed(job: _Job, core: Stubbed, spans: Mapping[str, Span], contract: Contract, note: str) -> Trial:
    """The module behind a contract, with probes made from the example and what it gives for them."""
    from pocketrec.convert.watch.contract_module import ContractModule

    reference = ContractModule(job.reference, contract, contract.functions["main"])
    arrays = [
        each.numpy().astype(feature.dtype) if feature.dtype == "int64" else each.numpy()
        for each, feature in zip(job.example.tensors, contract.functions["main"].inputs, strict=True)
    ]
    probes, expected = proved_probes(arrays, contract, reference.answers)
    far = far_probes(probes[0].inputs, contract, reference.answers, within=not job.drafted)
    behind = partial(_flat, job.example, job.reference.outlines)
    flat = behind(core.lowered) if core.tables else job.flat
    model = Model(
        contract=contract,
        core=replace(core, lowered=flat),
        module=job.reference,
        spans=spans,
        behind=behind,
    )
    return Trial(
        model=model,
        captured=contract,
        probes={"main": probes},
        expected={"main": expected},
        far={"main": far},
        fresh=partial(_fresh, job),
        note=note,
    )


def _fresh(job: _Job) -> nn.Module:
    """A copy of the user's module that has never run."""
    return _flat(job.example, job.reference.outlines, _own(job.module))


def _flat(example: FlatExample, outlines: tuple[tuple[int | str, ...], ...], module: nn.Module) -> nn.Module:
    """The module behind the example's tensors."""
    from pocketrec.convert.example.flatten import FlatModule

    flat = FlatModule(module, example)
    flat.outlines = outlines
    return flat
