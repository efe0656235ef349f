"""Where a tensor of an artifact came from in the PyTorch model, in words that name no machine.

Both lowerings write a table of them into the artifact's metadata, and the search for the first
divergence reads it.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pocketrec.errors import ArtifactError
from pocketrec.outside import parse_json

ORIGINS = "pocketrec.origins"  # the metadata's key
ACTIVATIONS = "pocketrec.activations"  # likewise; how inputs of dense layers are rounded
_LARGEST = 1 << 26  # bytes of the table: a file from outside must not fill the memory


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


def to_text(origins: Mapping[str, Origin]) -> str:
    """The table of origins by tensor name as deflated JSON in base64; equal for equal tables."""
    table = {name: origin.to_list() for name, origin in origins.items()}
    plain = json.dumps(table, separators=(",", ":"), sort_keys=True)
    return base64.b64encode(zlib.compress(plain.encode(), 9)).decode()


def from_text(text: str, *, where: str) -> dict[str, Origin]:
    """Origins by tensor name; ArtifactError naming `where` for anything else."""
    table = _parse(text, where)
    if not isinstance(table, dict):
        raise _broken(where)
    return {name: _origin(each, where) for name, each in table.items()}


def _parse(text: str, where: str) -> Any:
    inflate = zlib.decompressobj()
    try:
        plain = inflate.decompress(base64.b64decode(text, validate=True), _LARGEST)
        if not inflate.eof:
            raise _broken(where)
        return parse_json(plain, name=where)
    except (ValueError, zlib.error, ArtifactError):
        raise _broken(where) from None


def _origin(fields: Any, where: str) -> Origin:
    if not isinstance(fields, list) or [type(each) for each in fields] != [str, str, str, int, int, bool]:
        raise _broken(where)
    module, source, op, ordinal, count, exact = fields
    return Origin(module=module, source=source, op=op, ordinal=ordinal, count=count, exact=exact)


def _broken(where: str) -> ArtifactError:
    return ArtifactError(f"{where}: the origins of its tensors are damaged; build or pull it again")
