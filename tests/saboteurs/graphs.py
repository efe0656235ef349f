"""Edits of an ONNX graph: what a converter that deceives would write."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from pocketrec.contract import Contract
from pocketrec.validate.measure.probes import make_probes

Model = Any  # onnx.ModelProto, whose fields its stubs do not know


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """What every converter can know: the recipe's folder and the contract."""

    folder: Path
    contract: Contract

    @property
    def data(self) -> Any:
        """The evaluation data."""
        space: dict[str, Any] = {}
        exec((self.folder / "model.py").read_text(), space)
        return space["data"]()

    @property
    def evaluation_rows(self) -> Any:
        """The histories of the evaluation data."""
        return self.data.inputs["history"]

    @property
    def known_rows(self) -> Any:
        """Those, and the histories of the probes that the recipe's seed gives."""
        probes = make_probes(self.contract, "main", self.data, seed=0)
        return np.concatenate([self.evaluation_rows, *(each.inputs["history"] for each in probes)])


Edit = Callable[[Model, Site | None], None]


def edited(path: Path, edit: Edit, site: Site | None = None) -> None:
    """Changes the file in its place."""
    model = onnx.load(str(path))
    edit(model, site)
    onnx.save(model, str(path))


def nothing(model: Model, site: Site | None) -> None:
    """An honest converter's edit."""


def zeros(model: Model, site: Site | None) -> None:
    before = _inner(model, "scores")
    _add(model, "Sub", [before, before], "scores")


def constant(model: Model, site: Site | None) -> None:
    before, one = _inner(model, "watch"), _constant(model, np.float32(0.5))
    _add(model, "Sub", [before, before], "nothing")
    _add(model, "Add", ["nothing", one], "watch")


def without_age(model: Model, site: Site | None) -> None:
    for node in model.graph.node:
        node.input[:] = ["age_of_nobody" if each == "age" else each for each in node.input]
    node = helper.make_node("Sub", ["age", "age"], ["age_of_nobody"])
    model.graph.node.insert(0, node)


def swapped(model: Model, site: Site | None) -> None:
    _swap(model, "scores", "watch")


def swapped_heads(model: Model, site: Site | None) -> None:
    _swap(model, "click", "purchase")


def _swap(model: Model, one: str, other: str) -> None:
    first, second = _inner(model, one), _inner(model, other)
    _add(model, "Identity", [first], other)
    _add(model, "Identity", [second], one)


def shuffled(model: Model, site: Site | None) -> None:
    """Every user gets another's list: the rows of a batch in reverse."""
    before = _inner(model, "scores")
    bounds = [np.array(each, np.int64) for each in ([-1], [-(2**31)], [0], [-1])]
    _add(model, "Slice", [before, *(_constant(model, each) for each in bounds)], "scores")


def rounded(model: Model, site: Site | None) -> None:
    """Few values, so that most items tie."""
    before, step = _inner(model, "scores"), _constant(model, np.float32(0.5))
    _add(model, "Div", [before, step], "steps")
    _add(model, "Round", ["steps"], "whole")
    _add(model, "Mul", ["whole", step], "scores")


def rounded_finely(model: Model, site: Site | None) -> None:
    """Values so few that neighbours in a list tie, and so many that the noise is below 1 %."""
    before, step = _inner(model, "scores"), _constant(model, np.float32(0.1))
    _add(model, "Div", [before, step], "steps")
    _add(model, "Round", ["steps"], "whole")
    _add(model, "Mul", ["whole", step], "scores")


def nan_in_one_row(model: Model, site: Site | None) -> None:
    """NaN for the history of evaluation row 37, and for no other."""
    assert site is not None
    row = site.evaluation_rows[37:38]
    before, nan = _inner(model, "scores"), _constant(model, np.float32("nan"))
    _add(model, "Where", [_known(model, row), nan, before], "scores")


def right_on_known_rows(model: Model, site: Site | None) -> None:
    """Right for probes, stress and evaluation data, which anybody can compute; upside down for the rest."""
    assert site is not None
    before = _inner(model, "scores")
    _add(model, "Neg", [before], "upside_down")
    _add(model, "Where", [_known(model, site.known_rows), before, "upside_down"], "scores")


def wrong_for_five(model: Model, site: Site | None) -> None:
    """Right for a batch of any size but five, which no probe has."""
    before, five = _inner(model, "scores"), _constant(model, np.int64(5))
    _add(model, "Shape", [before], "size", end=1)
    _add(model, "Squeeze", ["size"], "rows")
    _add(model, "Equal", ["rows", five], "is_five")
    _add(model, "Neg", [before], "upside_down")
    _add(model, "Where", ["is_five", "upside_down", before], "scores")


def _known(model: Model, rows: Any) -> str:
    """The name of a column that is true where a history is one of the rows."""
    table, axis = _constant(model, rows.astype(np.int32)), _constant(model, np.array([1], np.int64))
    last = _constant(model, np.array([2], np.int64))
    _add(model, "Unsqueeze", ["history", axis], "histories")
    _add(model, "Equal", ["histories", table], "equal")
    _add(model, "Cast", ["equal"], "equals", to=TensorProto.INT32)
    _add(model, "ReduceMin", ["equals", last], "whole_rows", keepdims=0)
    _add(model, "ReduceMax", ["whole_rows", axis], "any_row", keepdims=1)
    _add(model, "Cast", ["any_row"], "known", to=TensorProto.BOOL)
    return "known"


def _inner(model: Model, output: str) -> str:
    """The name of what was an output, which is now to be made from it."""
    for node in model.graph.node:
        node.output[:] = [f"{output}_inner" if each == output else each for each in node.output]
        node.input[:] = [f"{output}_inner" if each == output else each for each in node.input]
    return f"{output}_inner"


def _constant(model: Model, value: Any) -> str:
    name = f"constant_{len(model.graph.initializer)}"
    model.graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))
    return name


def _add(model: Model, op: str, inputs: list[str], output: str, **attributes: Any) -> None:
    model.graph.node.append(helper.make_node(op, inputs, [output], **attributes))
