"""An artifact as a graph: its ops in order, and any tensor of it computed from tensors that are given.

`evaluate` runs the part of the program that leads from the given tensors to the wanted ones, and
nothing else. So the prefix of a program is run as it stands: marking tensors of the whole program as
outputs would keep an engine from fusing ops, and change the numbers that are looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from pocketrec.origin import Origin
from pocketrec.validate.runtimes.runtime import Array, TensorSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphOp:
    """One op.

    Attributes:
        type: in the format's spelling, such as `LayerNormalization` or `layer_norm`.
        name: the artifact's own name for it.
        inputs: the tensors it reads, constants left out.
        outputs: the tensors it makes.
    """

    type: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


class ArtifactGraph(Protocol):
    """A loaded artifact whose inside can be looked at."""

    @property
    def name(self) -> str:
        """The artifact's file name."""
        ...

    @property
    def ops(self) -> Sequence[GraphOp]:
        """The ops in the order of execution."""
        ...

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """The artifact's inputs."""
        ...

    @property
    def outputs(self) -> Sequence[str]:
        """The artifact's outputs."""
        ...

    @property
    def is_narrow(self) -> bool:
        """True where it computes in float16."""
        ...

    @property
    def origins(self) -> Mapping[str, Origin]:
        """Origins by tensor name; empty where the artifact does not say."""
        ...

    def dtype(self, name: str) -> str:
        """The tensor's declared dtype; empty where it is not declared."""
        ...

    def evaluate(self, names: Sequence[str], given: Mapping[str, Array]) -> dict[str, Array]:
        """The named tensors, computed from the given ones; float16 as float32."""
        ...


def slice_ops(ops: Sequence[GraphOp], wanted: Iterable[str], given: Iterable[str]) -> list[int]:
    """The places of the ops that lead from `given` to `wanted`, in order."""
    needed, known = set(wanted), set(given)
    places = []
    for place in range(len(ops) - 1, -1, -1):
        if any(name in needed and name not in known for name in ops[place].outputs):
            places.append(place)
            needed.update(ops[place].inputs)
    return places[::-1]
