"""The first divergence is found whatever becomes of the error later, and noise is no divergence."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from pocketrec.validate.artifact.divergence import Comparison, difference, find_divergence
from pocketrec.validate.artifact.graph import Graph, Op
from pocketrec.validate.runtimes.runtime import Array, TensorSpec

X = np.linspace(-1, 1, 12, dtype=np.float32).reshape(3, 4)
Function = Callable[..., Any]


@dataclass
class FakeEngine:
    """Named NumPy functions: `{"y": (function, "x", ...)}`; counts what it evaluates."""

    steps: Mapping[str, tuple[Any, ...]]
    evaluated: list[str] = field(default_factory=list)
    folded: Collection[str] = ()

    def known(self, given: Mapping[str, Array]) -> Collection[str]:
        return given.keys()

    def run(
        self, places: Sequence[int], names: Sequence[str], given: Mapping[str, Array]
    ) -> dict[str, Array]:
        values, made = dict(given), list(self.steps)
        self.evaluated += names
        for place in places:
            function, *sources = self.steps[made[place]]
            values.setdefault(made[place], np.asarray(function(*(values[each] for each in sources))))
        return {name: values[name] for name in names}


def fake(engine: FakeEngine, outputs: Sequence[str]) -> Graph:
    """The graph that the engine computes, from the input `x`."""
    ops = (
        Op(
            type=step[0].__name__,
            kind=step[0].__name__,
            name=f"op_{name}",
            inputs={str(number): (each,) for number, each in enumerate(step[1:])},
            outputs=(name,),
        )
        for name, step in engine.steps.items()
    )
    return Graph(
        name="fake",
        format="fake",
        ops=tuple(ops),
        tensors={},
        inputs=(TensorSpec(name="x", dtype="float32", shape=X.shape),),
        outputs=tuple(TensorSpec(name=each, dtype="float32", shape=()) for each in outputs),
        results=tuple(outputs),
        start=lambda _: engine,
    )


def double(x: Any) -> Any:
    return x * np.float32(2)


def triple(x: Any) -> Any:
    return x * np.float32(3)


def forget(x: Any) -> Any:
    return np.zeros_like(x)


def add(x: Any, y: Any) -> Any:
    return x + y


def order(x: Any) -> Any:
    return np.argsort(-x, axis=-1, kind="stable").astype(np.int32)


def reverse_order(x: Any) -> Any:
    return order(x)[:, ::-1]


def chain(count: int, **wrong: Function) -> dict[str, tuple[Any, ...]]:
    return {
        f"t{each}": (wrong.get(f"t{each}", double), f"t{each - 1}" if each else "x") for each in range(count)
    }


def compare(
    good: Mapping[str, tuple[Any, ...]],
    bad: Mapping[str, tuple[Any, ...]],
    outputs: Sequence[str],
    *,
    without: Sequence[str] = (),
    inputs: Any = X,
) -> tuple[Comparison, FakeEngine]:
    artifact = FakeEngine(bad)
    values = fake(FakeEngine(good), outputs).evaluate(list(good), {"x": inputs})
    partners = {name: name for name in good if name in bad and name not in without}
    found = find_divergence(fake(artifact, outputs), values.__getitem__, partners, {"x": inputs})
    return found, artifact


def test_equal_artifacts_do_not_diverge_and_only_outputs_are_looked_at() -> None:
    found, artifact = compare(chain(9), chain(9), ["t8"])
    assert found.divergence is None
    assert set(artifact.evaluated) == {"t8"}
    assert [each.max_abs_error for each in found.outputs] == [0.0]


@pytest.mark.parametrize("wrong", ["t0", "t7", "t31"])
def test_one_wrong_op_is_found_wherever_it_is(wrong: str) -> None:
    found, _ = compare(chain(32), chain(32, **{wrong: triple}), ["t31"])
    assert found.divergence is not None
    assert (found.divergence.op.type, found.divergence.op.name) == ("triple", f"op_{wrong}")
    assert found.divergence.own_error > found.tolerance
    assert [each.relative_error for each in found.divergence.inputs] == [0.0]


def test_the_first_of_two_is_found_though_its_error_vanishes_in_between() -> None:
    """Halving alone would see the second one: at its middle the first error is gone."""
    good = {**chain(8), "gone": (forget, "t7"), "sum": (add, "t0", "gone"), "out": (double, "sum")}
    bad = good | {"t2": (triple, "t1"), "sum": (double, "t0")}
    good["end"] = bad["end"] = (add, "out", "t7")
    found, _ = compare(good, bad, ["end"])
    assert found.divergence is not None
    assert found.divergence.op.name == "op_t2"


def test_an_op_without_a_partner_is_named_beside_the_next_one_that_has() -> None:
    found, _ = compare(chain(8), chain(8, t3=triple), ["t7"], without=["t2", "t3"])
    assert found.divergence is not None
    assert found.divergence.op.name == "op_t4"
    assert [each.name for each in found.divergence.others] == ["op_t2", "op_t3"]
    assert [each.relative_error for each in found.divergence.inputs] == [None]


def test_an_op_that_only_amplifies_is_told_apart_by_its_own_error() -> None:
    """Its inputs are within the bound and its output is not, but on the reference's inputs it is right."""

    def power(x: Any) -> Any:
        return (1 + x) ** np.float32(4000)

    def shifted(x: Any) -> Any:
        return x * np.float32(2) + np.float32(5e-7)

    good = {"a": (double, "x"), "b": (power, "a")}
    found, _ = compare(good, good | {"a": (shifted, "x")}, ["b"], inputs=np.abs(X) * np.float32(0.01))
    assert found.divergence is not None
    assert found.divergence.op.name == "op_b"
    assert found.divergence.own_error <= found.tolerance


def test_ids_that_swap_within_the_noise_of_their_scores_are_no_divergence() -> None:
    near = np.array([[1.0, 1.0 + 1e-6, 0.5]], np.float32)

    def noisy(x: Any) -> Any:
        return x * np.array([1 + 4e-6, 1, 1], np.float32)

    good = {"s": (np.copy, "x"), "ids": (order, "s")}
    found, _ = compare(good, good | {"s": (noisy, "x")}, ["s", "ids"], inputs=near)
    assert found.outputs[1].max_abs_error == float("inf")
    assert found.divergence is None


def test_ids_in_a_wrong_order_are_a_divergence() -> None:
    good = {"s": (np.copy, "x"), "ids": (order, "s")}
    found, _ = compare(good, good | {"ids": (reverse_order, "s")}, ["s", "ids"])
    assert found.divergence is not None
    assert found.divergence.op.name == "op_ids"


def test_an_output_of_another_shape_diverges() -> None:
    def cut(x: Any) -> Any:
        return (x * np.float32(2))[:1]

    found, _ = compare(chain(3), chain(3, t2=cut), ["t2"])
    assert found.divergence is not None
    assert found.divergence.op.name == "op_t2"


@pytest.mark.parametrize(
    ("actual", "expected", "errors"),
    [
        ([1.0, 2.0], [1.0, 2.0], (0.0, 0.0)),
        ([np.nan, np.inf], [np.nan, np.inf], (0.0, 0.0)),
        ([np.nan, 1.0], [0.0, 1.0], (np.inf, np.inf)),
        ([np.inf, 1.0], [-np.inf, 1.0], (np.inf, np.inf)),
        ([1.5, 1.0], [1.0, 1.0], (0.5, 0.25)),
        ([0.5, 0.0], [0.0, 0.0], (0.5, 0.5)),
    ],
)
def test_the_difference_is_relative_to_value_and_typical_size(
    actual: list[float], expected: list[float], errors: tuple[float, float]
) -> None:
    assert difference(np.array(actual), np.array(expected)) == errors


def test_a_mask_does_not_hide_an_error_beside_it() -> None:
    """99 of 100 numbers are -1e4; half an error of the hundredth is seen all the same."""
    expected = np.full(100, -1e4, np.float32)
    expected[:3] = [1, 2, 3]
    actual = expected.copy()
    actual[0] = 1.5
    assert difference(actual, expected)[1] > 0.1


def test_integers_and_shapes_must_be_equal() -> None:
    assert difference(np.array([1, 2]), np.array([1, 3])) == (np.inf, np.inf)
    assert difference(np.zeros((2, 1)), np.zeros((1, 2))) == (np.inf, np.inf)
    assert difference(np.zeros(0), np.zeros(0)) == (0.0, 0.0)
