"""A captured step whose state inputs and outputs are explicit, as one that keeps its state itself."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch.export.graph_signature import (
    ExportGraphSignature,
    InputKind,
    InputSpec,
    OutputKind,
    OutputSpec,
)

from pocketrec.contract import Feature, Output, Signature
from pocketrec.errors import ConversionError


def without_states(signature: Signature) -> Signature:
    """The signature of what the caller still passes and gets where the program keeps the states.

    Raises:
        ConversionError: there is no state, or nothing else.
    """
    pairs = signature.states
    if not pairs:
        raise ConversionError(
            "stateful: the function has no input of kind 'state'; add one, and an output that `updates` it"
        )
    inputs = tuple(each for each in signature.inputs if each not in [state for state, _ in pairs])
    outputs = tuple(each for each in signature.outputs if each not in [update for _, update in pairs])
    if not inputs or not outputs:
        raise ConversionError("stateful: the function has states only; it needs another input and output")
    return replace(signature, inputs=inputs, outputs=outputs)


def with_states(program: torch.export.ExportedProgram, signature: Signature) -> torch.export.ExportedProgram:
    """The same graph, in which the state inputs are buffers that the outputs of their name replace.

    Only what the program says about its inputs and outputs is new; the graph is shared. The buffers
    begin as zeros.

    Raises:
        ConversionError: a state's size is not fixed.
    """
    states = dict(signature.states)
    changed = copy.copy(program)
    given, results = iter(signature.inputs), iter(signature.outputs)
    inputs = [
        _input(each, next(given), states) if each.kind == InputKind.USER_INPUT else each
        for each in program.graph_signature.input_specs
    ]
    outputs = [
        _output(each, next(results)) if each.kind == OutputKind.USER_OUTPUT else each
        for each in program.graph_signature.output_specs
    ]
    changed._graph_signature = ExportGraphSignature(input_specs=inputs, output_specs=outputs)
    buffers = {each.name: torch.zeros(_shape(program, signature, each)) for each in states}
    changed._state_dict = {**program.state_dict, **buffers}
    return changed


def _input(spec: InputSpec, feature: Feature, states: dict[Feature, Output]) -> InputSpec:
    if feature not in states:
        return spec
    return InputSpec(kind=InputKind.BUFFER, arg=spec.arg, target=feature.name, persistent=True)


def _output(spec: OutputSpec, output: Output) -> OutputSpec:
    if output.updates is None:
        return spec
    return OutputSpec(kind=OutputKind.BUFFER_MUTATION, arg=spec.arg, target=output.updates)


def _shape(program: torch.export.ExportedProgram, signature: Signature, state: Feature) -> Sequence[int]:
    names = dict(
        zip(
            (each.name for each in signature.inputs),
            program.graph_signature.user_inputs,
            strict=True,
        )
    )
    node = next(each for each in program.graph.nodes if each.name == names[state.name])
    shape = tuple(node.meta["val"].shape)
    if not all(isinstance(size, int) for size in shape):
        raise ConversionError(
            f"stateful: state {state.name} has the shape {list(state.shape)}; a state's size is fixed, so "
            "take its dims out of `flexible`"
        )
    return shape
