"""Hazards of the interface and of the graph's form: shapes, names, loops, randomness, baked answers."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pocketrec.validate.artifact.graph import Graph, Op
from pocketrec.validate.lint.finding import Hit, Rule

# Names that converters draw: an op's, a counter, or a counter behind a word that says nothing.
_OPS = (
    *(
        "add",
        "addmm",
        "baddbmm",
        "bmm",
        "cast",
        "cat",
        "clone",
        "concat",
        "copy",
        "div",
        "embedding",
        "expand",
    ),
    *(
        "gather",
        "identity",
        "index",
        "layer_norm",
        "linear",
        "matmul",
        "mean",
        "mm",
        "mul",
        "permute",
        "relu",
    ),
    *("reshape", "select", "sigmoid", "slice", "softmax", "squeeze", "sub", "sum", "tanh", "to_copy", "topk"),
    *("transpose", "unsqueeze", "view", "where"),
)
_WORDS = ("var", "op", "output", "getitem", "tensor", "value", "graph_output", "node")
_DRAWN = re.compile(
    rf"_?({'|'.join(_OPS)})([._]*\d+)*\Z|({'|'.join(_WORDS)})?([._]*\d+)+\Z|\w*_cast_fp16\w*\Z"
)
_DATE = "com.github.apple.coremltools.conversion_date"
_RANDOM = re.compile(r"random_\w+|Random\w+|Multinomial|Bernoulli")


def dynamic_shape(graph: Graph) -> Iterator[Hit]:
    """A hit for each input with a range of sizes, where one size is fastest; enumerated sizes are none."""
    for each in graph.inputs if graph.wants_fixed_sizes else ():
        ranges = [(low, high) for low, high in each.bounds if low != high]
        if ranges:
            low, high = ranges[0]
            size = (
                f"{low} to {high}" if high is not None and high < 2**31 - 1 else f"{low} or more, unbounded"
            )
            yield Hit(severity="warning", place=each.name, message=f"a size is {size}")


def unnamed_output(graph: Graph) -> Iterator[Hit]:
    """A hit for each output whose name a converter drew."""
    for each in graph.outputs:
        if _DRAWN.match(each.name.rpartition("/")[2]):
            yield Hit(severity="warning", place=each.name, message=f"the output is called {each.name}")


def constant_output(graph: Graph) -> Iterator[Hit]:
    """A hit for each output that no input reaches."""
    made = {name for op in graph.ops for name in op.outputs}
    alive = {*(each.name for each in graph.inputs), *_drawn(graph)}
    for op in graph.ops:
        # What nobody makes and no constant holds comes in from a caller: a loop's variable, a state.
        free = any(name not in made and graph.tensor(name).load is None for name in op.operands)
        if free or any(name in alive for name in op.operands):
            alive.update(op.outputs)
    for result in graph.results:
        if result not in alive:
            yield Hit(
                severity="error", place=result, message="no input reaches this output: it is a constant"
            )


def _drawn(graph: Graph) -> Iterator[str]:
    """What ops make that draw random numbers, and those in whose nested blocks such an op stands."""
    holders: list[Op] = []
    for op in graph.ops:
        del holders[op.depth :]
        holders.append(op)
        if _RANDOM.match(op.kind):
            yield from (name for each in holders for name in each.outputs)


def unused_input(graph: Graph) -> Iterator[Hit]:
    """A hit for each input that no op reads."""
    for each in graph.inputs:
        if each.name not in graph.readers and each.name not in graph.results:
            yield Hit(severity="warning", place=each.name, message="no op reads this input")


def loop(graph: Graph) -> Iterator[Hit]:
    """A hit for each loop over a sequence, and a milder one for other loops."""
    sequences = any(graph.of_kind("SequenceEmpty", "SequenceInsert", "ConcatFromSequence"))
    for op in graph.of_kind("Loop", "Scan", "while_loop"):
        if sequences and op.kind == "Loop":
            message = "a Loop that collects a sequence, as EmbeddingBag becomes"
            yield Hit(severity="warning", place=op.name, message=message)
        else:
            yield Hit(severity="note", place=op.name, message=f"a {op.kind}")


def random_op(graph: Graph) -> Iterator[Hit]:
    """A hit for each op that draws random numbers."""
    for op in graph.ops:
        if _RANDOM.fullmatch(op.kind) or _drops(graph, op):
            yield Hit(severity="error", place=op.name, message=f"{op.kind} draws random numbers")


def _drops(graph: Graph, op: Op) -> bool:
    if op.kind != "Dropout":
        return False
    training = graph.parameter(op, "2", False)
    return bool(training)


def conversion_date(graph: Graph) -> Iterator[Hit]:
    """A hit where the file says when it was converted."""
    if _DATE in graph.metadata:
        yield Hit(severity="note", place="metadata", message=f"converted on {graph.metadata[_DATE]}")


RULES: dict[str, Rule[Graph]] = {
    "dynamic-shape": Rule(
        check=dynamic_shape,
        consequence="the Neural Engine takes a range at its default size only; others run on GPU or CPU",
        remedy="fix the size, or list the sizes with EnumeratedShapes",
    ),
    "unnamed-output": Rule(
        check=unnamed_output,
        consequence="callers depend on a counter that the next conversion may draw differently",
        remedy="name outputs: outputs=[ct.TensorType(name=...)] or output_names=[...]",
    ),
    "constant-output": Rule(
        check=constant_output,
        consequence="every user gets the same answer: a value was baked in when the model was captured",
        remedy="compute it with torch operations only: no .numpy(), .item() or cached result in the forward",
    ),
    "unused-input": Rule(
        check=unused_input,
        consequence="the answer does not depend on it: it may have been baked in, or was never needed",
        remedy="check the forward for .numpy() or .item(); drop the input where it is not needed",
    ),
    "loop": Rule(
        check=loop,
        consequence="one iteration for each row, in the graph's interpreter: correct, and slow",
        remedy="replace EmbeddingBag by a gather and a masked sum; unroll fixed recurrences",
    ),
    "random-op": Rule(
        check=random_op,
        consequence="two calls with the same inputs differ",
        remedy="export in eval mode, and take sampling out of the forward",
    ),
    "conversion-date": Rule(
        check=conversion_date,
        consequence="the same model converted again is another file, so a hash does not tell releases apart",
        remedy="remove the key from the metadata, and write the package in a canonical form",
    ),
}
