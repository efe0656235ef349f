"""A drawn program on both targets against PyTorch, on inputs far from the example.

Where PyTorch itself is unsure of a number, none is compared: it is another one in float64, for inputs that
differ in the last bits, or where NaN is ordered before all numbers and not after, which neither ONNX nor MIL
says. Such elements are counted, never left out in silence.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from pocketrec.contract import Contract, Dim, Feature, Output, Signature
from pocketrec.convert.capture.capture import Capture, capture
from pocketrec.errors import PocketrecError
from pocketrec.validate.open import open_artifact

from .programs import ITEMS, LENGTH, ROWS, WIDTH, Chain, Drawn

Floats = npt.NDArray[np.float64]
TARGETS = ("onnx", "coreml")
# The same float32 numbers in another order, and what PyTorch's own doubt is worth. ONNX Runtime's vectorized
# functions are exact to a rounding of 1, not of what they give; what its Sigmoid is off by is multiplied with
# what a gate multiplies, so that is tried as a doubt of its own.
_RTOL, _DOUBT = 2e-4, 50.0
_ATOL = {"onnx": 1e-7, "coreml": 1e-9}
_JITTER = 1e-6
_SIGMOID_STEP = 2.0**-24


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What became of one program.

    Attributes:
        compared: elements that had to agree.
        unsure: elements that PyTorch itself gives otherwise in float64 or for inputs a bit away.
        nan: elements that are not a number in PyTorch.
        refused: target or chain to the reason.
        differs: one line per disagreement.
    """

    compared: int = 0
    unsure: int = 0
    nan: int = 0
    refused: list[str] = field(default_factory=list)
    differs: list[str] = field(default_factory=list)


def probes() -> dict[str, tuple[Tensor, Tensor]]:
    """Inputs by name: the example, then zeros, both signs, small, large; ids of every sort; one row."""
    generator = torch.Generator().manual_seed(5)

    def dense(rows: int = ROWS) -> Tensor:
        return torch.randn(rows, LENGTH, WIDTH, generator=generator)

    ids = torch.randint(0, ITEMS, (ROWS, LENGTH), generator=generator, dtype=torch.int32)
    padded = ids.clone()
    padded[0], padded[1, :3] = 0, 0
    last = torch.full_like(ids, ITEMS - 1)
    points = torch.tensor([0.0, -0.0, 1e-20, -1e-6, 1e-3, 1.0, -2.0, 30.0])
    return {
        "example": (dense(), ids),
        "zeros": (torch.zeros(ROWS, LENGTH, WIDTH), padded),
        "ones": (torch.ones(ROWS, LENGTH, WIDTH), last),
        "negative": (-dense().abs(), ids.flip(0)),
        "small": (dense() * 1e-6, ids),
        "large": (dense() * 100, padded),
        "larger": (dense() * 1e4, ids),
        "points": (points.repeat(ROWS, LENGTH, 1), padded),
        "whole": ((dense() * 2).round(), last),
        "one row": (dense(1), ids[:1]),
    }


def compare(program: Sequence[Chain], folder: Path) -> Outcome:
    """The program's outcome; chain by chain where it does not convert as a whole."""
    outcome = Outcome()
    module = Drawn(program).eval().requires_grad_(False)
    _answers(module, *probes()["example"])  # a program that PyTorch cannot run is no refusal
    try:
        captured = _captured(module)
    except PocketrecError as error:
        return _apart(program, folder, outcome, f"capture: {_line(error)}")
    for target in TARGETS:
        path = folder / f"{target}.{'onnx' if target == 'onnx' else 'mlpackage'}"
        try:
            _lower(captured, target, path)
        except PocketrecError as error:
            if len(program) > 1:
                return _apart(program, folder, outcome, "")
            outcome.refused.append(f"{target}: {_line(error)}")
            continue
        _check(module, path, target, outcome)
    return outcome


def _apart(program: Sequence[Chain], folder: Path, outcome: Outcome, reason: str) -> Outcome:
    if len(program) == 1:
        outcome.refused.append(reason)
        return outcome
    for number, chain in enumerate(program):
        place = folder / str(number)
        place.mkdir()
        one = compare([chain], place)
        outcome.compared, outcome.unsure = outcome.compared + one.compared, outcome.unsure + one.unsure
        outcome.nan += one.nan
        outcome.refused += one.refused
        outcome.differs += one.differs
    return outcome


def _captured(module: Drawn) -> Capture:
    features = (
        Feature(name="x", kind="dense", dtype="float32", shape=("batch", LENGTH, WIDTH)),
        Feature(name="ids", kind="length", shape=("batch", LENGTH)),
    )
    shape = ("batch", LENGTH, WIDTH)
    outputs = tuple(Output(name=f"y{n}", meaning="score", shape=shape) for n in range(len(module.program)))
    contract = Contract(
        functions={"main": Signature(inputs=features, outputs=outputs)}, dims={"batch": Dim(max=8)}
    )
    x, ids = probes()["example"]
    return capture(module, contract, "main", [{"x": x, "ids": ids}])


def _lower(captured: Capture, target: str, path: Path) -> None:
    from pocketrec.convert.coreml.lower import to_coreml
    from pocketrec.convert.onnx.lower import to_onnx

    if target == "onnx":
        to_onnx(captured, path)
    else:
        to_coreml(captured, path, precision="float32", flexible=("batch",))


def _check(module: Drawn, path: Path, target: str, outcome: Outcome) -> None:
    with open_artifact(path, "coreml-interpreter" if target == "coreml" else None) as artifact:
        for name, (x, ids) in probes().items():
            try:
                given = artifact.run({"x": x.numpy(), "ids": ids.numpy()})
            except PocketrecError as error:
                outcome.differs.append(f"{target}, {name}: does not run: {_line(error)}")
                continue
            for number, (expected, doubt) in enumerate(_expected(module, x, ids, target)):
                _count(given[f"y{number}"], expected, doubt, f"{target}, {name}, y{number}", outcome)


def _count(given: Any, expected: Floats, doubt: Floats, where: str, outcome: Outcome) -> None:
    actual = np.asarray(given, np.float64)
    if actual.shape != expected.shape:
        outcome.differs.append(f"{where}: shape {actual.shape}, expected {expected.shape}")
        return
    nan = np.isnan(expected)
    unsure = ~nan & ~(doubt <= 1e-3 * np.abs(expected) + 1e-30)
    with np.errstate(invalid="ignore"):
        allowed = _RTOL * np.abs(expected) + _ATOL[where.partition(",")[0]] + _DOUBT * doubt
        near = np.isfinite(expected) & (np.abs(actual - expected) <= allowed)
    wrong = ~nan & ~unsure & ~near & (actual != expected)
    outcome.nan += int(nan.sum())
    outcome.unsure += int(unsure.sum())
    outcome.compared += int((~nan & ~unsure).sum())
    if wrong.any():
        place = tuple(int(each) for each in np.argwhere(wrong)[0])
        outcome.differs.append(
            f"{where}: {int(wrong.sum())} wrong, at {place} {actual[place]!r}, expected {expected[place]!r}"
        )


def _expected(module: Drawn, x: Tensor, ids: Tensor, target: str) -> Iterator[tuple[Floats, Floats]]:
    """Per output PyTorch's numbers, and how far they are from its other answers to the same question."""
    plain = _answers(module, x, ids)
    others = [_answers(module.double(), x.double(), ids)]
    module.float()
    generator = torch.Generator().manual_seed(9)
    largest = float(x.abs().max())
    for scale in (x.abs(), torch.full_like(x, largest)):
        noise = (torch.rand(x.shape, generator=generator) * 2 - 1) * _JITTER
        others.append(_answers(module, x + noise * scale, ids))
    with AsRuntime(target):
        others.append(_answers(module, x, ids))
    with np.errstate(invalid="ignore"):
        for number, expected in enumerate(plain):
            gaps = [np.where(each[number] == expected, 0, np.abs(each[number] - expected)) for each in others]
            doubt = np.nan_to_num(np.max(gaps, axis=0), nan=np.inf, posinf=np.inf)
            yield expected, doubt


_ORDERING = ("sort", "topk", "max", "min", "amax", "amin", "argmax", "argmin", "argsort", "median")
_GATES = {"sigmoid": lambda x: torch.ones_like(x), "silu": torch.abs}


class AsRuntime(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """PyTorch as a runtime may be: NaN first in an order, and ONNX Runtime's Sigmoid in steps of 1."""

    def __init__(self, target: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._steps = target == "onnx"
        self._generator = torch.Generator().manual_seed(11)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """The op's result, computed as a runtime may."""
        name = func._schema.name.partition("::")[2]
        if name in _ORDERING and args[0].is_floating_point():
            args = (torch.where(args[0].isnan(), -torch.inf, args[0]), *args[1:])
        result = func(*args, **(kwargs or {}))
        if name in _GATES and self._steps:
            signs = torch.rand(result.shape, generator=self._generator).round() * 2 - 1
            result = result + signs * _SIGMOID_STEP * _GATES[name](args[0])
        return result


def _answers(module: Drawn, x: Tensor, ids: Tensor) -> list[Floats]:
    with torch.no_grad():
        return [each.double().numpy() for each in module(x, ids)]


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200]


def summary(outcomes: Sequence[Mapping[str, Any]]) -> str:
    """Programs run, disagreements, and refusals by reason, as a text."""
    from collections import Counter

    refused = Counter(_reason(each) for one in outcomes for each in one["refused"])
    lines = [
        f"programs run    {len(outcomes)}",
        f"numbers equal   {sum(one['compared'] for one in outcomes)}",
        f"PyTorch unsure  {sum(one['unsure'] for one in outcomes)}",
        f"PyTorch NaN     {sum(one['nan'] for one in outcomes)}",
        f"disagreements   {sum(bool(one['differs']) for one in outcomes)}",
        f"refused         {sum(refused.values())}",
        *(f"  {count:5}  {reason}" for reason, count in refused.most_common()),
    ]
    return "\n".join(lines)


def _reason(refused: str) -> str:
    """The refusal without what differs from program to program."""
    import re

    return re.sub(r" at \S+:\d+", "", refused)
