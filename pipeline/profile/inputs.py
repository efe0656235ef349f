"""What an artifact is called on while it is measured: rows of real data where there are any.

golden vectors of a bundle ─┐
evaluation data of a recipe ├─▶ rows, one a call ─▶ fitted to the artifact
an .npz file                ┘                       as it stands, one call
nothing                     ──▶ numbers that its shapes and tables allow

Rows of other shapes cost other work, so only those of the largest shapes are taken; what is drawn is said.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pocketrec.contract import Contract, Signature
from pocketrec.errors import InputError, UsageError
from pocketrec.package.bundle import Bundle, read_contract
from pocketrec.package.golden import read_golden
from pocketrec.source.arrays import read_arrays
from pocketrec.validate.profile.limits import id_limits
from pocketrec.validate.runtimes.fit import batch_dim, fit_to
from pocketrec.validate.runtimes.runtime import Array, TensorSpec, check_inputs

if TYPE_CHECKING:
    from pocketrec.validate.artifact.graph import Graph

_MOST_CALLS, _OPEN_SIZE, _SEED = 64, 16, 0
_SAMPLE = 4096  # rows of evaluation data that are looked at


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """Inputs of calls, as the artifact takes them, and where they are from, in words."""

    calls: tuple[Mapping[str, Array], ...]
    source: str


def draw_from_bundle(bundle: Bundle, function: str, graph: Graph) -> Drawn:
    """Rows of the function's golden vectors.

    Raises:
        UsageError: the bundle has no such function.
        InputError: the artifact takes others.
    """
    contract = read_contract(bundle)
    signature = _signature(contract, function, str(bundle.path))
    rows = [row for each in read_golden(bundle, function) for row in _rows(each.inputs, signature)]
    where = f"the golden vectors of {bundle.manifest.name} {bundle.manifest.version}"
    return _drawn(rows, contract, signature, graph, where)


def draw_from_recipe(recipe: Path, function: str, graph: Graph) -> Drawn:
    """Rows of the recipe's evaluation data, evenly from the first few thousand; its data factory runs.

    Raises:
        RecipeError: the recipe cannot be read, or has no evaluation.
        UsageError: it evaluates another function.
        InputError: the artifact takes others.
    """
    from pocketrec.pipeline.recipes import load_recipe
    from pocketrec.pipeline.sources import load_evaluation

    read = load_recipe(recipe)
    contract, asked = load_evaluation(read, recipe.resolve().parent)
    signature = _signature(contract, function, str(recipe))
    mine = next((each for each in asked if each.evaluate.function == function), None)
    if mine is None:
        known = ", ".join(dict.fromkeys(repr(each.evaluate.function) for each in asked))
        raise UsageError(f"{recipe}: its data are for function {known}, not {function!r}; pass --inputs")
    part = next(iter(mine.data.parts(_SAMPLE)))
    given = {each.name: np.asarray(part.inputs[each.name]) for each in signature.inputs}
    rows = list(_rows(given, signature))
    spread = [rows[place] for place in np.linspace(0, len(rows) - 1, _MOST_CALLS).astype(int)]
    of = f", {mine.name}" if mine.name else ""
    return _drawn(spread, contract, signature, graph, f"the evaluation data of {recipe.name}{of}")


def draw_from_file(path: Path, graph: Graph) -> Drawn:
    """The arrays of an .npz file, all in one call; InputError where they do not fit."""
    fits = check_inputs
    arrays = read_arrays(path, lambda headers: fits(graph.inputs, headers, where=path.name))
    return Drawn(calls=(arrays,), source=f"{path.name}, one call")


def draw_from_shapes(graph: Graph) -> Drawn:
    """Numbers that the artifact's shapes and tables allow: ids evenly over the rows of what they look up."""
    rng, limits = np.random.default_rng(_SEED), id_limits(graph)
    calls = tuple(
        {each.name: _made(each, limits.get(each.name), rng) for each in graph.inputs if not each.optional}
        for _ in range(_MOST_CALLS)
    )
    known = ", ".join(f"{name} below {limit}" for name, limit in limits.items())
    ids = f"ids evenly ({known})" if known else "no input is known to be ids"
    return Drawn(calls=calls, source=f"no data: drawn from the artifact's shapes, {ids}, seed {_SEED}")


def _signature(contract: Contract, function: str, where: str) -> Signature:
    if function not in contract.functions:
        known = ", ".join(contract.functions)
        raise UsageError(f"{where}: {function!r} is no function of its contract; expected {known}")
    return contract.functions[function]


def _rows(inputs: Mapping[str, Array], signature: Signature) -> Iterator[dict[str, Array]]:
    """Each row on its own; all as it stands where no dim leads the inputs."""
    dim = batch_dim(signature)
    given = {each.name: inputs[each.name] for each in signature.inputs if each.name in inputs}
    led = {each.name for each in signature.inputs if each.shape and each.shape[0] == dim}
    if dim is None or not led <= given.keys():
        yield given
        return
    for row in range(len(given[min(led)])):
        yield {name: array[row : row + 1] if name in led else array for name, array in given.items()}


def _drawn(
    rows: Iterable[Mapping[str, Array]], contract: Contract, signature: Signature, graph: Graph, where: str
) -> Drawn:
    alike = defaultdict(list)
    for row in rows:
        (call, _), *_ = fit_to(graph.inputs, contract, signature, row)
        check_inputs(graph.inputs, call, where=graph.name)
        alike[tuple((name, each.shape) for name, each in sorted(call.items()))].append(call)
    if not alike:
        raise InputError(f"{where}: there is no row in them; pass --inputs in.npz")
    shapes = max(alike, key=lambda key: (sum(prod(shape) for _, shape in key), key))
    calls = tuple(islice(alike[shapes], _MOST_CALLS))
    sizes = ", ".join(f"{name} {list(shape)}" for name, shape in shapes)
    count = f"{len(calls)} call{'s' if len(calls) > 1 else ''}"
    return Drawn(calls=calls, source=f"{where}, {count} of {sizes} in turn")


def _made(spec: TensorSpec, limit: int | None, rng: np.random.Generator) -> Array:
    shape = spec.enumerated[0] if spec.enumerated else _shape(spec)
    if spec.dtype == "bool":
        return rng.random(shape) < 0.5
    if np.issubdtype(spec.dtype, np.floating):
        return rng.normal(size=shape).astype(spec.dtype)
    if np.issubdtype(spec.dtype, np.integer):
        return rng.integers(0, limit or 2, shape).astype(spec.dtype)
    raise UsageError(f"input {spec.name!r} is {spec.dtype}, which cannot be drawn; pass --inputs in.npz")


def _shape(spec: TensorSpec) -> tuple[int, ...]:
    """One row, and what a range allows at most, up to a few where it has no end."""
    bounds: Sequence[tuple[int, int | None]] = spec.bounds or [(size or 1, size) for size in spec.shape]
    return tuple(
        low if axis == 0 or low == high else (max(low, _OPEN_SIZE) if high is None else high)
        for axis, (low, high) in enumerate(bounds)
    )
