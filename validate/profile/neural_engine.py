"""What is written of programs that do not run on the Neural Engine, looked for in a program: no measurement.

Apple does not document which ops the Neural Engine takes: "it changes based on device generation, operating
system version, tensor sizes" (https://github.com/apple/coremltools/issues/1780). So each rule says who wrote
it. What a device does is told by Core ML's own plan, on macOS (`framework.py`), or by Xcode.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from pocketrec.validate.artifact.graph import Graph

_OTHERS = "https://github.com/hollance/neural-engine/blob/master/docs/unsupported-layers.md"
_LIMITS = "https://aneforge.readthedocs.io/en/latest/capabilities/"
_LARGEST = 16384  # along an axis, of devices up to the A15; 65,536 later
_EXAMPLES = 5
_CONTROL = ("while_loop", "cond", "make_list", "list_gather", "list_scatter", "list_read", "list_write")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """A rule that the program meets.

    Attributes:
        rule: its name.
        says: what is written.
        author: who wrote it.
        source: where.
        count: how many ops or inputs meet it.
        examples: the first few, by name.
    """

    rule: str
    says: str
    author: Literal["Apple", "a maintainer of coremltools", "others, from experiments"]
    source: str
    count: int
    examples: tuple[str, ...]


Found = Callable[[Graph], Iterator[tuple[str, str]]]  # names of ops or inputs, each with what else to say


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rule:
    name: str
    says: str
    author: Literal["Apple", "a maintainer of coremltools", "others, from experiments"]
    source: str
    found: Found


def reasons(graph: Graph) -> tuple[Reason, ...]:
    """The rules that a Core ML program meets; none of a format that Core ML does not run."""
    if not graph.wants_fixed_sizes:
        return ()
    met = ((rule, list(dict.fromkeys(rule.found(graph)))) for rule in RULES)
    return tuple(
        Reason(
            rule=rule.name,
            says=rule.says,
            author=rule.author,
            source=rule.source,
            count=len(found),
            examples=tuple(f"{name}{more}" for name, more in found[:_EXAMPLES]),
        )
        for rule, found in met
        if found
    )


def rules_met(graph: Graph) -> dict[str, tuple[str, ...]]:
    """The names of the rules that each op or input meets, by its name; only of those that meet some."""
    met: dict[str, dict[str, None]] = {}
    for rule in RULES:
        for name, _ in rule.found(graph):
            met.setdefault(name, {})[rule.name] = None
    return {name: tuple(rules) for name, rules in met.items()}


def _float32(graph: Graph) -> Iterator[tuple[str, str]]:
    for op in graph.ops:
        if op.type != "cast" and any(graph.dtype(name) == "float32" for name in op.outputs):
            yield op.name, ""


def _ranges(graph: Graph) -> Iterator[tuple[str, str]]:
    for each in graph.inputs:
        if not each.enumerated and any(low != high for low, high in each.bounds):
            yield each.name, ""


def _ranks(graph: Graph) -> Iterator[tuple[str, str]]:
    for op in graph.ops:
        ranks = [len(graph.tensor(name).shape or ()) for name in op.outputs]
        if max(ranks, default=0) > 5:
            yield op.name, f" of rank {max(ranks)}"


def _of_kinds(*kinds: str) -> Found:
    return lambda graph: ((op.name, "") for op in graph.ops if op.kind in kinds)


def _lookups(graph: Graph) -> Iterator[tuple[str, str]]:
    for op in graph.ops:
        if op.kind.startswith("gather"):
            table = graph.operand(op, "x")
            rows = "" if table is None or not table.shape else f" from {list(table.shape)}"
            yield op.name, rows


def _blocks(graph: Graph) -> Iterator[tuple[str, str]]:
    """Weights whose scales are for blocks of a row."""
    for op in graph.of_kind("constexpr_blockwise_shift_scale"):
        data, scale = graph.operand(op, "data"), graph.operand(op, "scale")
        if data is None or scale is None or data.shape is None or scale.shape is None:
            continue
        if any(size not in (1, whole) for size, whole in zip(scale.shape, data.shape, strict=False)):
            yield op.name, ""


def _long(graph: Graph) -> Iterator[tuple[str, str]]:
    for op in graph.ops:
        for name in op.outputs:
            if any((size or 0) > _LARGEST for size in graph.tensor(name).shape or ()):
                yield op.name, ""


def _whole_numbers(graph: Graph) -> Iterator[tuple[str, str]]:
    for op in graph.ops:
        if op.outputs and all(graph.dtype(name) == "int32" for name in op.outputs):
            yield op.name, ""


RULES: Sequence[_Rule] = (
    _Rule(
        name="float32",
        says="a float32 program runs on the GPU and CPU; a float16 one may run on the Neural Engine, too",
        author="Apple",
        source="https://apple.github.io/coremltools/docs-guides/source/typed-execution-example.html",
        found=_float32,
    ),
    _Rule(
        name="a range of shapes",
        says="inputs of a range run on the Neural Engine at their default shape only; enumerate the shapes",
        author="Apple",
        source="https://developer.apple.com/forums/thread/724930",
        found=_ranges,
    ),
    _Rule(
        name="scales per block",
        says="per-block weights are named as good for a Mac's GPU, palettes for the Neural Engine",
        author="Apple",
        source="https://apple.github.io/coremltools/docs-guides/source/opt-overview.html",
        found=_blocks,
    ),
    _Rule(
        name="more than 5 axes",
        says="Core ML does not support tensors with a rank greater than five",
        author="a maintainer of coremltools",
        source="https://github.com/apple/coremltools/issues/1723",
        found=_ranks,
    ),
    _Rule(
        name="recurrent ops",
        says="RNN and LSTM ops are not supported on the Neural Engine",
        author="a maintainer of coremltools",
        source="https://github.com/apple/coremltools/issues/1780",
        found=_of_kinds("rnn", "lstm", "gru"),
    ),
    _Rule(
        name="lookups",
        says="gather does not run on the Neural Engine",
        author="others, from experiments",
        source=_OTHERS,
        found=_lookups,
    ),
    _Rule(
        name="custom layers",
        says="an app's own layer has an implementation for CPU and GPU at most",
        author="others, from experiments",
        source=_OTHERS,
        found=_of_kinds("custom_layer"),
    ),
    _Rule(
        name="control flow",
        says="loops, branches and lists have no form there",
        author="others, from experiments",
        source=_LIMITS,
        found=_of_kinds(*_CONTROL),
    ),
    _Rule(
        name="int32",
        says="int32 has no path there",
        author="others, from experiments",
        source=_LIMITS,
        found=_whole_numbers,
    ),
    _Rule(
        name="a long axis",
        says="an axis holds 16,384 up to the A15, and 65,536 from the A16 on",
        author="others, from experiments",
        source=_LIMITS,
        found=_long,
    ),
)
