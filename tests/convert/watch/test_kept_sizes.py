"""Python's functions leave a free size free while a module is exported, and are themselves again after."""

from __future__ import annotations

import builtins
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from pocketrec.contract import Contract, Dim, Feature, Output, Signature
from pocketrec.convert.capture.capture import Capture, capture
from pocketrec.convert.watch.kept_sizes import kept_sizes
from pocketrec.errors import Refused

Forward = Callable[[Tensor], Tensor]


class Given(nn.Module):
    def __init__(self, function: Forward) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


def by_len(x: Tensor) -> Tensor:
    assert len(x) == x.shape[0]
    return x + torch.ones(4).expand(len(x), -1)


def by_int(x: Tensor) -> Tensor:
    if not isinstance(x.shape[0], int):
        raise TypeError(f"{type(x.shape[0])}, expected {int}")
    return x.reshape(int(x.shape[0]), 2, int("2")).flatten(1)


def by_every_size(x: Tensor) -> Tensor:
    return (x * 2).view(*[int(each) for each in x.shape])


def by_float(x: Tensor) -> Tensor:
    return x + torch.full((x.shape[0], 4), float(x.shape[1]) * float("0.5"))


def by_bounds(x: Tensor) -> Tensor:
    return x + torch.zeros(max(len(x), 0 * len(x)), min([4, 7])) + min(x.shape[0], 2 * len(x)) * 0


def by_the_first_row(x: Tensor) -> Tensor:
    return x + torch.arange(len(x[0]))


def by_type(x: Tensor) -> Tensor:
    rows = len(x)
    assert type(rows) is int
    return x + torch.ones(4).expand(rows, -1)


def by_loop(x: Tensor) -> Tensor:
    return torch.stack([x[row] * 2 for row in range(x.shape[0])])


def captured(function: Forward) -> Capture:
    signature = Signature(
        inputs=(Feature(name="x", kind="dense", shape=("batch", 4), dtype="float32"),),
        outputs=(Output(name="y", meaning="embedding", shape=("batch", 4)),),
    )
    contract = Contract(functions={"main": signature}, dims={"batch": Dim(min=1, max=64)})
    torch.manual_seed(0)
    return capture(Given(function).eval(), contract, "main", [{"x": torch.randn(n, 4)} for n in (3, 1, 5)])


@pytest.mark.parametrize("function", [by_len, by_int, by_every_size, by_float, by_bounds, by_the_first_row])
def test_a_size_that_python_asks_for_stays_free(function: Forward) -> None:
    found = captured(function)
    for rows in (1, 2, 9):
        x = torch.randn(rows, 4)
        assert torch.equal(found.program.module()(x)[0], function(x))


@pytest.mark.parametrize("function", [by_type, by_loop])
def test_a_size_that_must_be_a_number_is_refused_with_its_line(function: Forward) -> None:
    with pytest.raises(Refused, match=r"makes a number of the size batch.* fixes it at 5") as caught:
        captured(function)
    name, _, line = caught.value.where.rpartition(":")
    assert name == __file__
    first = function.__code__.co_firstlineno
    assert first < int(line) <= first + 3


def test_names_are_as_before_afterwards_and_a_files_own_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    def own(number: float) -> float:
        return builtins.float(number)

    monkeypatch.setitem(globals(), "float", own)
    before = dict(globals())
    with kept_sizes(by_every_size, (torch.zeros(2, 4),)):
        assert set(globals()) - set(before) == {"len", "int", "min", "max"}
        assert globals()["float"] is own
        assert len([1, 2]) == 2
        assert len(torch.zeros(3, 1)) == 3
        assert int("7") == 7
        assert min(3, 2) == 2
        assert max([1, 5], key=lambda each: -each) == 1
        assert max((), default=4) == 4
        assert isinstance(True, int)
        assert not isinstance(1.0, int)
        assert issubclass(bool, int)
        assert (1).__class__ == int  # noqa: E721
        assert {int: "found"}[builtins.int] == "found"
        with pytest.raises(TypeError, match="len"):
            len(torch.tensor(1.0))
    assert globals() == before


def test_names_are_as_before_after_an_error() -> None:
    before = dict(globals())
    with pytest.raises(RuntimeError), kept_sizes(by_len, (torch.zeros(2, 4),)):
        raise RuntimeError
    with pytest.raises(AttributeError), kept_sizes(by_len, ("no tensor",)):  # type: ignore[arg-type]
        pass
    assert dict(globals()) == before
