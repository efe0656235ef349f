"""Where a tensor of an artifact came from in the PyTorch model, in words that name no machine.

Both lowerings tell it, a bundle's evidence keeps it, and the search for the first divergence and the profile
read it there: an app has no use for it. Artifacts of earlier releases hold the table themselves.
"""

from __future__ import annotations

import base64
import math
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pocketrec.errors import ArtifactError
from pocketrec.outside import parse_json

ORIGINS = "pocketrec.origins"  # the key in the metadata of artifacts of earlier releases
ACTIVATIONS = "pocketrec.activations"  # a key of every artifact's; how inputs of dense layers are rounded
_MOST, _DIMS = 1 << 62, 32  # numbers and bytes of a tensor, and its axes, far above any real one
LARGEST = 1 << 26  # bytes of a table: a file from outside must not fill the memory


def origins_key(function: str) -> str:
    """The metadata's key for one function of an artifact that holds several."""
    return f"{ORIGINS}.{function}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """One PyTorch op of the captured program.

    Attributes:
        module: path of the module that called it, such as `blocks.0.attention`; empty at the top.
        source: file name and line, such as `sasrec.py:46`; empty where no line of the user's led to it.
        op: the op's name, such as `addmm`.
        ordinal: its place among the ops of equal module, source and op, from 1.
        count: how many of these there are.
        exact: True where the tensor is the op's result; False for a step on the way to it.
    """

    module: str
    source: str
    op: str
    ordinal: int
    count: int
    exact: bool = True

    @property
    def key(self) -> tuple[str, str, str, int, int]:
        """The same for the same op of two captures; names of graph nodes are not."""
        return self.module, self.source, self.op, self.ordinal, self.count

    @property
    def place(self) -> str:
        """For people: module and source line."""
        if not self.module and not self.source:
            return "the contract's checks around the model"
        return f"{f'module {self.module}' if self.module else 'the model itself'}, {self.source or 'no line'}"

    def to_list(self) -> list[str | int | bool]:
        """The fields in order, as JSON takes them."""
        return [self.module, self.source, self.op, self.ordinal, self.count, self.exact]


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """A compressed tensor of the module as an artifact stores it: its method in words, shape and bytes."""

    method: str
    shape: tuple[int, ...]
    size_bytes: int


@dataclass(slots=True, kw_only=True)
class Told:
    """What a lowering tells of one function, and an artifact does not: it is for people and for proofs.

    Attributes:
        origins: by the artifact's tensor names.
        carried: by the module's tensor names.
    """

    origins: Mapping[str, Origin] = field(default_factory=dict)
    carried: Mapping[str, Carried] = field(default_factory=dict)

    def to_table(self) -> dict[str, dict[str, list[Any]]]:
        """The fields as JSON takes them."""
        return {
            "origins": {name: each.to_list() for name, each in self.origins.items()},
            "carried": {
                name: [each.method, list(each.shape), each.size_bytes] for name, each in self.carried.items()
            },
        }


def told_from_table(table: Any, *, where: str) -> Told:
    """What `to_table` gave; ArtifactError naming `where` for anything else."""
    if not isinstance(table, dict) or table.keys() != {"origins", "carried"}:
        raise broken(where)
    origins, carried = table["origins"], table["carried"]
    if not isinstance(origins, dict) or not isinstance(carried, dict):
        raise broken(where)
    return Told(
        origins={name: _origin(each, where) for name, each in origins.items()},
        carried={name: carried_from_list(each, where=where) for name, each in carried.items()},
    )


def from_text(text: str, *, where: str) -> dict[str, Origin]:
    """Origins by tensor name, of deflated JSON in base64; ArtifactError naming `where` for anything else."""
    table = _parse(text, where)
    if not isinstance(table, dict):
        raise broken(where)
    return {name: _origin(each, where) for name, each in table.items()}


def _parse(text: str, where: str) -> Any:
    inflate = zlib.decompressobj()
    try:
        plain = inflate.decompress(base64.b64decode(text, validate=True), LARGEST)
        if not inflate.eof:
            raise broken(where)
        return parse_json(plain, name=where)
    except (ValueError, zlib.error, ArtifactError):
        raise broken(where) from None


def _origin(fields: Any, where: str) -> Origin:
    if not isinstance(fields, list) or [type(each) for each in fields] != [str, str, str, int, int, bool]:
        raise broken(where)
    module, source, op, ordinal, count, exact = fields
    return Origin(module=module, source=source, op=op, ordinal=ordinal, count=count, exact=exact)


def carried_from_list(fields: Any, *, where: str) -> Carried:
    """A compressed tensor as tables have it: method, shape, bytes; ArtifactError for anything else."""
    if not isinstance(fields, list) or [type(each) for each in fields] != [str, list, int]:
        raise broken(where)
    method, shape, size_bytes = fields
    numbers = (*shape, size_bytes)
    if len(shape) > _DIMS or not all(type(each) is int and 0 <= each <= _MOST for each in numbers):
        raise broken(where)
    if math.prod(shape) > _MOST:
        raise broken(where)
    return Carried(method=method, shape=tuple(shape), size_bytes=size_bytes)


def broken(where: str) -> ArtifactError:
    """What is raised where a table is not what was written."""
    return ArtifactError(f"{where}: the origins of its tensors are damaged; build or pull it again")
