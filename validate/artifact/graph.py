"""An artifact as one typed graph: what lint, inspect, sizes, diverge and the audit of compression read.

Ops and their operands have Core ML's names in every format (`gather(x, indices)`, `select(cond, a, b)`);
what one format alone has keeps its own. Constants stay on disk until somebody asks for their numbers.

`evaluate` runs the part of the program that leads from the given tensors to the wanted ones, and
nothing else. So the prefix of a program is run as it stands: marking tensors of the whole program as
outputs would keep an engine from fusing ops, and change the numbers that are looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import ceil, prod
from pathlib import Path
from typing import Any, Protocol

from pocketrec.errors import UsageError
from pocketrec.origin import Origin, from_text
from pocketrec.validate.runtimes.runtime import Array, TensorSpec

Shape = tuple[int | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tensor:
    """A tensor of the graph; what is not known of it is empty, None or a size of None.

    Attributes:
        name: in the graph; where that holds several functions, it begins with the function's.
        dtype: NumPy's name for it, or the format's where NumPy has none.
        shape: its sizes.
        load: gives a constant's numbers; None for what is computed.
        place: where a constant's bytes lie; equal for two names of the same bytes.
        stored_bytes: what a constant takes in the file; None where it is part of the program's text.
        function: with which `name` begins; empty where it does not.
    """

    name: str
    dtype: str = ""
    shape: Shape | None = None
    load: Callable[[], Any] | None = None
    place: Hashable = None
    stored_bytes: int | None = None
    function: str = ""

    @property
    def size(self) -> int:
        """Number of elements; 0 where it is not known."""
        sizes = [each for each in self.shape or () if each is not None]
        return prod(sizes) if self.shape is not None and len(sizes) == len(self.shape) else 0

    @property
    def size_bytes(self) -> int:
        """Bytes that the elements take, packed where they are smaller than a byte."""
        return packed_bytes(self.dtype, (self.size,)) if self.dtype not in ("", "string") else 0

    @property
    def own_name(self) -> str:
        """The name within its function."""
        return self.name.removeprefix(f"{self.function}/") if self.function else self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Op:
    """One op.

    Attributes:
        type: in the format's spelling, such as `LayerNormalization` or `layer_norm`.
        kind: in Core ML's words; the type where these have none.
        name: the artifact's own name for it.
        inputs: the tensors that it reads, by operand.
        outputs: the tensors that it makes.
        attributes: numbers that are no operands.
        captured: what the ops of its nested blocks read from outside of them.
        updated: the states that it makes anew.
        depth: in how many blocks it is nested; these ops follow the one that holds them.
    """

    type: str
    kind: str
    name: str
    inputs: Mapping[str, tuple[str, ...]]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any] = field(default_factory=dict)
    captured: tuple[str, ...] = ()
    updated: tuple[str, ...] = ()
    depth: int = 0

    @property
    def operands(self) -> tuple[str, ...]:
        """All that it reads."""
        return (*(name for names in self.inputs.values() for name in names), *self.captured)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """An op as it runs: what no input changes is left out.

    Attributes:
        type: in the format's spelling.
        name: the artifact's own name for it.
        inputs: the tensors it reads.
        outputs: the tensors it makes.
    """

    type: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


class Engine(Protocol):
    """What computes the calls of one function; `folded` are the tensors that it computes beforehand."""

    @property
    def folded(self) -> Collection[str]:
        """The results of ops that no input changes; these ops are no calls."""
        ...

    def known(self, given: Mapping[str, Array]) -> Collection[str]:
        """The tensors that need not be computed where these are given."""
        ...

    def run(
        self, places: Sequence[int], names: Sequence[str], given: Mapping[str, Array]
    ) -> dict[str, Array]:
        """The named tensors, by the calls at these places."""
        ...


@dataclass(frozen=True, kw_only=True)
class Graph:
    """One function of an artifact, or all of them; where there are several, names begin with the function's.

    Attributes:
        name: the artifact's file name.
        format: the format's name, to be shown.
        version: the format's version, to be shown.
        ops: in the order of execution, each followed by those nested in it.
        tensors: by name; what the file does not describe is left out.
        inputs: as the application sees them.
        outputs: as the application sees them.
        results: the tensors behind `outputs`.
        metadata: the artifact's own key-value pairs.
        about: what it says of itself to people, such as its author and its license.
        producer: the tool that says that it wrote the file.
        held: tensors that the file stores and no name of the graph means, such as an op's fill value.
        functions: names of the artifact's functions, the default first.
        wants_fixed_sizes: True where the format's fastest engine takes inputs of one size only.
        refuses_ids_beyond: True where a lookup refuses ids beyond its table, and takes negative ones from
            its end; False where the format leaves both open.
        unreadable: why the ops could not be read; empty where they could.
        origin_table: the text of the table of origins that artifacts of earlier releases hold; else empty.
        known: origins by tensor name that are known from elsewhere; None where nobody looked.
        select: gives the graph of one function, of the default one for None; None where this is it.
        start: gives the engine that computes it; None where nothing does.
        files: the files that belong to it, the artifact's own first; a folder's files where it is one.
    """

    name: str
    format: str
    version: str = ""
    ops: tuple[Op, ...]
    tensors: Mapping[str, Tensor]
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    results: tuple[str, ...]
    metadata: Mapping[str, str] = field(default_factory=dict)
    about: Mapping[str, str] = field(default_factory=dict)
    producer: str = ""
    held: tuple[Tensor, ...] = ()
    functions: tuple[str, ...] = ("main",)
    wants_fixed_sizes: bool = False
    refuses_ids_beyond: bool = False
    unreadable: str = ""
    origin_table: str = ""
    known: Mapping[str, Origin] | None = None
    select: Callable[[str | None], Graph] | None = None
    start: Callable[[Graph], Engine] | None = None
    files: tuple[Path, ...] = ()

    @cached_property
    def makers(self) -> Mapping[str, Op]:
        """Tensor to the op that makes it."""
        return {name: op for op in self.ops for name in op.outputs}

    @cached_property
    def readers(self) -> Mapping[str, tuple[Op, ...]]:
        """Tensor to the ops that read it."""
        found: dict[str, list[Op]] = {}
        for op in self.ops:
            for name in dict.fromkeys(op.operands):
                found.setdefault(name, []).append(op)
        return {name: tuple(ops) for name, ops in found.items()}

    @property
    def constants(self) -> Iterator[Tensor]:
        """Every tensor whose numbers stand in the file."""
        return (each for each in self.tensors.values() if each.load is not None)

    @property
    def stored(self) -> Iterator[Tensor]:
        """Every tensor that takes bytes of the file; one that several names mean comes once."""
        seen: set[Hashable] = set()
        for each in (*self.constants, *self.held):
            if each.stored_bytes is not None and (each.place is None or each.place not in seen):
                seen.add(each.place)
                yield each

    @cached_property
    def origins(self) -> Mapping[str, Origin]:
        """Origins by tensor name; empty where nobody says them."""
        if self.known is not None:
            return self.known
        return from_text(self.origin_table, where=self.name) if self.origin_table else {}

    @cached_property
    def engine(self) -> Engine:
        """What computes it, started; UsageError where nothing does."""
        if self.start is None:
            raise UsageError(f"{self.name}: nothing here computes parts of it; expected one function of it")
        return self.start(self)

    @cached_property
    def calls(self) -> tuple[Call, ...]:
        """The ops that run, in order; those in nested blocks are part of the op that holds them."""
        return tuple(
            self._call(op)
            for op in self.ops
            if not op.depth and not (op.outputs and all(name in self.engine.folded for name in op.outputs))
        )

    def _call(self, op: Op) -> Call:
        return Call(
            type=op.type,
            name=op.name,
            inputs=tuple(dict.fromkeys(name for name in op.operands if not self._is_fixed(name))),
            outputs=(*(name for name in op.outputs if name), *op.updated),
        )

    def _is_fixed(self, name: str) -> bool:
        return name in self.engine.folded or self.tensor(name).load is not None

    @cached_property
    def is_narrow(self) -> bool:
        """True where it computes in float16."""
        made = (name for call in self.calls for name in call.outputs)
        return any(self.dtype(name) == "float16" for name in (*(each.name for each in self.inputs), *made))

    def only(self, function: str | None) -> Graph:
        """The graph of one function, of the default one for None; UsageError where there is no such one."""
        return self if self.select is None else self.select(function)

    def evaluate(self, names: Sequence[str], given: Mapping[str, Array]) -> dict[str, Array]:
        """The named tensors, computed from the given ones; float16 as float32."""
        places = slice_calls(self.calls, names, self.engine.known(given))
        return self.engine.run(places, names, given)

    def of_kind(self, *kinds: str) -> Iterator[Op]:
        """The ops of these kinds, in order."""
        return (op for op in self.ops if op.kind in kinds)

    def tensor(self, name: str) -> Tensor:
        """The tensor of that name; one of unknown type where the file does not describe it."""
        return self.tensors.get(name) or Tensor(name=name)

    def dtype(self, name: str) -> str:
        """The tensor's declared dtype; empty where it is not declared."""
        return self.tensor(name).dtype

    def operand(self, op: Op, name: str) -> Tensor | None:
        """The first tensor bound to that operand; None where it is absent."""
        bound = op.inputs.get(name)
        return self.tensor(bound[0]) if bound else None

    def parameter(self, op: Op, name: str, default: Any = None) -> Any:
        """An attribute, or a constant operand's number; the default where it is neither."""
        if name in op.attributes:
            return op.attributes[name]
        value = self.operand(op, name)
        return default if value is None or value.load is None else value.load()

    def numbers(self, name: str, *, limit: int) -> Array | None:
        """A constant's numbers; None for what is no constant or has more than `limit` elements."""
        value = self.tensor(name)
        if value.load is None or value.dtype == "string" or not 0 < value.size <= limit:
            return None
        numbers: Array = value.load()
        return numbers

    def extent(self, op: Op, operand: str = "x", *, default_axis: int = 0) -> int | None:
        """The size of `operand` along the op's axis; None where it is not known."""
        value = self.operand(op, operand)
        axis = int(self.parameter(op, "axis", default_axis))
        if value is None or value.shape is None or not -len(value.shape) <= axis < len(value.shape):
            return None
        return value.shape[axis]


def slice_calls(calls: Sequence[Call], wanted: Iterable[str], given: Iterable[str]) -> list[int]:
    """The places of the calls that lead from `given` to `wanted`, in order."""
    needed, known = set(wanted), set(given)
    places = []
    for place in range(len(calls) - 1, -1, -1):
        if any(name in needed and name not in known for name in calls[place].outputs):
            places.append(place)
            needed.update(calls[place].inputs)
    return places[::-1]


def packed_bytes(dtype: str, shape: Iterable[int]) -> int:
    """Bytes of a tensor with packed elements; float8, bool and what says no width take one byte each."""
    digits = "".join(each for each in dtype if each.isdigit())
    bits = 8 if dtype.startswith("float8") or digits not in _WIDTHS else int(digits)
    return ceil(prod(shape) * bits / 8)


_WIDTHS = ("1", "2", "3", "4", "6", "8", "16", "32", "64")
