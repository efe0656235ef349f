"""Integers kept within 32 bits for Core ML, which has no others: hashes are reduced as they are made.

(a b + c) mod m is what ids are hashed with, and a b is often too large. A remainder passes through
sums and products, so every factor is reduced first, and a product of two remainders is added up from
products with a few bits at a time, each within 32 bits. What cannot be reduced is looked up where it
depends on an id of a known vocabulary (see `hash_tables`), and refused otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, fx, nn

from pocketrec.contract import Contract, Dim, Signature
from pocketrec.convert.capture.export import dynamic_sizes, export_graph
from pocketrec.convert.coreml.hash_tables import find_tables
from pocketrec.convert.lower.ranges import INT32, STRUCTURAL, Range, find_ranges, fits, op_name
from pocketrec.convert.rewrite import OP_RULES
from pocketrec.convert.rewrite.ops import lower_ops
from pocketrec.convert.watch.lines import line_in_trace
from pocketrec.convert.watch.patches import quiet_converters
from pocketrec.errors import Refused

_INT64: Range = (-(2**63), 2**63 - 1)
_LARGEST_MODULUS = 2**30


def narrow_program(
    program: torch.export.ExportedProgram,
    contract: Contract,
    signature: Signature,
    example: tuple[Tensor, ...],
    dims: Mapping[str, Dim],
) -> torch.export.ExportedProgram:
    """The program with hashes computed within 32 bits; the same one where it has none."""
    module = NarrowModule(program, contract, signature)
    if not module.count:
        return program
    exported = export_graph(module, example, (dynamic_sizes(signature, dims),))
    with torch.no_grad(), quiet_converters():
        return lower_ops(exported, OP_RULES)


class NarrowModule(nn.Module):
    """A program with every hash that may need more made within 32 bits.

    Attributes:
        count: how many are; where it is 0 the program can be used as it is.
        tables: the hashes that are looked up, by their last node.
    """

    def __init__(
        self, program: torch.export.ExportedProgram, contract: Contract, signature: Signature
    ) -> None:
        super().__init__()
        self.body = program.module(check_guards=False)
        names = [node.name for node in self.body.graph.nodes if node.op == "placeholder"]
        self._wide = find_ranges(self.body, dict(zip(names, _any_input(contract, signature), strict=True)))
        self.tables = find_tables(self.body.graph, self._wide, self.is_reduced)
        for number, table in enumerate(self.tables.values()):
            self.register_buffer(f"hash_table_{number}", table.values)
        self.count = len(self.tables) + sum(self.is_reduced(node) for node in self.body.graph.nodes)

    def is_reduced(self, node: fx.Node) -> bool:
        """True for a remainder whose dividend may leave 32 bits, and can be reduced as it is made."""
        modulus = _modulus(node)
        dividend = node.args[0] if modulus else None
        return (
            isinstance(dividend, fx.Node) and not self.fits(dividend) and self._reducible(dividend, modulus)
        )

    def fits(self, node: fx.Node) -> bool:
        """True where the node stays within 32 bits for every input."""
        return fits(self._wide.get(node))

    def _reducible(self, node: Any, modulus: int) -> bool:
        if not isinstance(node, fx.Node):
            return isinstance(node, int)
        if self.fits(node):
            return True
        if not fits(self._wide[node], _INT64) and modulus & (modulus - 1):
            return False  # PyTorch wraps at 2^64, which only a power of two divides
        name = op_name(node)
        if name in STRUCTURAL or name == "neg":
            return self._reducible(node.args[0], modulus)
        known = name in ("add", "sub", "mul") or (name in _BITWISE and not modulus & (modulus - 1))
        return known and all(self._reducible(each, modulus) for each in node.args[:2])

    def forward(self, *inputs: Tensor) -> Any:
        """The program's outputs."""
        return _Interpreter(self).run(*inputs)


class _Interpreter(fx.Interpreter):
    def __init__(self, module: NarrowModule) -> None:
        super().__init__(module.body, garbage_collect_values=False)
        self._module = module

    def run_node(self, n: fx.Node) -> Any:
        """The node's value; a reduced one for a remainder of what may be too large."""
        if n in self._module.tables:
            return self._looked_up(n)
        if not self._module.is_reduced(n):
            return super().run_node(n)
        return self._remainder(n.args[0], _modulus(n))

    def _looked_up(self, node: fx.Node) -> Tensor:
        number = list(self._module.tables).index(node)
        table = self._module.tables[node]
        places = self.env[table.source] - table.lowest
        values: Tensor = getattr(self._module, f"hash_table_{number}")
        return values.index_select(0, places.reshape(-1)).reshape(places.shape)

    def _remainder(self, node: Any, modulus: int) -> Any:
        """The node modulo the modulus, in [0, modulus)."""
        if not isinstance(node, fx.Node):
            return node % modulus
        if self._module.fits(node):
            return torch.remainder(self.env[node], modulus)
        name = op_name(node)
        first = self._remainder(node.args[0], modulus)
        if name in STRUCTURAL:
            others, kwargs = self.fetch_args_kwargs_from_env(node)
            return node.target(first, *others[1:], **kwargs)  # type: ignore[operator]
        if name == "neg":
            return torch.remainder(modulus - first, modulus)
        second = self._remainder(node.args[1], modulus)
        if name in _BITWISE:
            return node.target(first, second)  # type: ignore[operator]
        if name == "mul":
            return multiply_modulo(first, second, modulus)
        return torch.remainder(first + second if name == "add" else first - second, modulus)


_BITWISE = frozenset(["bitwise_and", "bitwise_or", "bitwise_xor"])


def _modulus(node: fx.Node) -> int:
    """What the node is a remainder by, for a bit mask too; 0 where it is none."""
    if op_name(node) not in ("remainder", "bitwise_and") or len(node.args) < 2:
        return 0
    value = node.args[1]
    if not isinstance(value, int):
        return 0
    if op_name(node) == "bitwise_and":
        value = value + 1 if value > 0 and not value & (value + 1) else 0
    return value if 0 < value <= _LARGEST_MODULUS else 0


def multiply_modulo(x: Any, y: Any, modulus: int) -> Any:
    """`x y` modulo `modulus`, with nothing in between that needs more than 32 bits.

    Args:
        x: integers in [0, modulus), a tensor or a number.
        y: the same.
        modulus: up to 2^30.
    """
    if not isinstance(x, Tensor):
        x, y = y, x
    if not isinstance(x, Tensor):
        return x * y % modulus
    # A digit of y times x, plus a remainder, stays below 2^31.
    bits = ((2**31 - modulus) // modulus + 1).bit_length() - 1
    total: Any = 0
    for number in reversed(range(-(-modulus.bit_length() // bits))):
        digit = y // 2 ** (bits * number) % 2**bits
        if isinstance(digit, int) and digit == 0 and isinstance(total, int):
            continue  # a leading zero of a constant
        shifted = total if isinstance(total, int) else torch.remainder(total * 2**bits, modulus)
        total = torch.remainder(x * digit + shifted, modulus)
    return total if isinstance(total, Tensor) else torch.zeros_like(x)


def check_int32(
    program: torch.export.ExportedProgram, contract: Contract, signature: Signature, function: str
) -> None:
    """Checks that every integer fits in 32 bits for every input that the contract allows.

    Raises:
        Refused: with the line of the user that makes a larger one.
    """
    body = program.module(check_guards=False)
    names = [node.name for node in body.graph.nodes if node.op == "placeholder"]
    declared = dict(zip(names, _declared(contract, signature), strict=True))
    for node, found in find_ranges(body, declared).items():
        if found is None or fits(found):
            continue
        lowest, highest = found
        raise Refused(
            op=str(node.target) if node.op == "call_function" else node.name,
            where=line_in_trace(node.meta.get("stack_trace") or ""),
            reason=f"function {function}: integers from {lowest} to {highest} do not fit in Core ML's int32",
            remedy="declare a smaller range in the contract, or compute hashes before the model",
            elsewhere=True,
        )


def _any_input(contract: Contract, signature: Signature) -> list[Range]:
    """Per input what it may hold, whatever the contract declares; ids are guarded."""
    return [
        (0, contract.vocabularies[each.vocabulary].size - 1) if each.vocabulary else INT32
        for each in signature.inputs
    ]


def _declared(contract: Contract, signature: Signature) -> list[Range]:
    """Per input what the contract declares."""
    pairs = zip(signature.inputs, _any_input(contract, signature), strict=True)
    return [
        widest
        if each.vocabulary
        else (
            int(widest[0] if each.minimum is None else each.minimum),
            int(widest[1] if each.maximum is None else each.maximum),
        )
        for each, widest in pairs
    ]
