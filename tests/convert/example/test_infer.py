"""The batch is found by running, ids by what they read; what cannot be inferred is said."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from pocketrec.convert.example.flatten import FlatModule, flatten_example
from pocketrec.convert.example.infer import Shapes, find_shapes, infer_contract
from pocketrec.convert.watch.survey import tables_read
from pocketrec.errors import InputError


class Scores(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.items = nn.Embedding(20, 4, padding_idx=0)

    def forward(self, history: Tensor, price: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
        rows = self.items(history) * valid.unsqueeze(-1)
        scores = rows.mean(1) @ self.items.weight.t() + price.unsqueeze(1)
        best, ids = scores.topk(3)
        return best, ids


def example() -> tuple[Tensor, ...]:
    return torch.tensor([[1, 2, 0], [3, 4, 5]]), torch.tensor([0.5, 2.0]), torch.ones(2, 3, dtype=torch.bool)


def shapes_of(module: nn.Module, *tensors: Tensor) -> Shapes:
    return find_shapes(FlatModule(module, flatten_example(module, tensors)), tensors)


def test_kinds_tables_and_dims_come_from_what_the_forward_does() -> None:
    module = Scores()
    flat = flatten_example(module, example())
    wrapped = FlatModule(module, flat)
    shapes = find_shapes(wrapped, flat.tensors)
    contract = infer_contract(
        flat.names,
        flat.tensors,
        flat.dtypes,
        ("best", "ids"),
        wrapped(*flat.tensors),
        shapes,
        tables_read(wrapped, flat.tensors),
    )
    signature = contract.functions["main"]
    assert [(each.name, each.kind, each.shape) for each in signature.inputs] == [
        ("history", "id_sequence", ("batch", 3)),
        ("price", "dense", ("batch",)),
        ("valid", "mask", ("batch", 3)),
    ]
    assert (contract.vocabularies["history"].size, contract.vocabularies["history"].padding_id) == (20, 0)
    assert [(each.meaning, each.dtype) for each in signature.outputs] == [
        ("top_k_scores", "float32"),
        ("top_k_ids", "int32"),
    ]


def test_ids_that_are_changed_on_the_way_have_no_vocabulary() -> None:
    class Hashed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Embedding(7, 2)

        def forward(self, ids: Tensor) -> Tensor:
            rows: Tensor = self.table(ids % 7)
            return rows

    module = Hashed()
    found = tables_read(
        FlatModule(module, flatten_example(module, (torch.tensor([9, 50]),))), [torch.tensor([9, 50])]
    )
    assert [(each.rows, each.exact) for each in found] == [(7, False)]


def test_an_id_beyond_its_table_in_the_example_does_not_run() -> None:
    """The message says what went in, so that a reader sees which id it was; and the user's line."""

    class Reads(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.item = nn.Embedding(3, 2)

        def forward(self, history: Tensor) -> Tensor:
            found: Tensor = self.item(history)
            return found

    said = (
        r"the module does not run on its example: IndexError at .*test_infer\.py:\d+: index out of range in "
        r"self; it was given history int64 \[2\] from 1 to 5: correct the example inputs"
    )
    with pytest.raises(InputError, match=said):
        shapes_of(Reads(), torch.tensor([1, 5]))


def test_a_batch_that_the_code_fixes_is_noted() -> None:
    class Fixed(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.view(2, 3) * 2

    shapes = shapes_of(Fixed(), torch.ones(2, 3))
    assert shapes.batched == frozenset()
    assert shapes.note.startswith("the batch is fixed at 2: with 3 rows the module fails")


def test_a_batch_of_one_that_fails_makes_two_the_smallest() -> None:
    class Needy(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.squeeze(0).sum(1) if len(x) > 1 else x[3]

    shapes = shapes_of(Needy(), torch.ones(4, 3))
    assert shapes.minimum == 2
    assert shapes.dims["batch"].min == 2
    assert "a batch of 1 fails (IndexError" in shapes.note


def test_an_axis_lost_by_a_batch_of_one_is_named() -> None:
    class Squeezed(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.sum(1).squeeze()

    shapes = shapes_of(Squeezed(), torch.ones(4, 3))
    assert shapes.squeezed == {0}
    assert shapes.outputs == (("batch",),)


def test_rows_that_follow_the_batch_are_a_dim_of_their_own() -> None:
    shapes = shapes_of(nn.Flatten(0, 1), torch.ones(4, 3, 2))
    assert shapes.outputs == (("rows_1", 2),)


def test_an_empty_example_and_a_module_without_outputs_are_errors() -> None:
    class Nothing(nn.Module):
        def forward(self, x: Tensor) -> None:
            return None

    with pytest.raises(InputError, match=r"the example has no rows"):
        shapes_of(nn.Identity(), torch.ones(0, 3))
    with pytest.raises(InputError, match=r"the module returns no tensor"):
        shapes_of(Nothing(), torch.ones(2))


def test_an_input_that_reads_several_tables_has_no_vocabulary_of_its_own() -> None:
    class Columns(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.big, self.small = nn.Embedding(9, 2), nn.Embedding(4, 2)

        def forward(self, ids: Tensor) -> Tensor:
            rows: Tensor = self.big(ids[:, 0]) + self.small(ids[:, 1])
            return rows

    module = Columns()
    flat = flatten_example(module, (torch.tensor([[8, 1], [7, 3]]),))
    wrapped = FlatModule(module, flat)
    contract = infer_contract(
        flat.names,
        flat.tensors,
        flat.dtypes,
        ("y",),
        wrapped(*flat.tensors),
        find_shapes(wrapped, flat.tensors),
        tables_read(wrapped, flat.tensors),
    )
    assert contract.vocabularies == {}
    assert contract.functions["main"].inputs[0].kind == "dense"


class Shared(nn.Module):
    """A history and a candidate from one table, and a context from another of as many rows."""

    def __init__(self) -> None:
        super().__init__()
        self.items, self.contexts = nn.Embedding(20, 4), nn.Embedding(20, 4)

    def forward(self, history: Tensor, candidate: Tensor, context: Tensor) -> Tensor:
        rows: Tensor = self.items(history).mean(1) * self.items(candidate) * self.contexts(context)
        return rows.sum(-1)


def test_inputs_that_read_one_table_share_its_vocabulary() -> None:
    module = Shared()
    flat = flatten_example(module, (torch.ones(3, 5).long(), torch.arange(3), torch.arange(3)))
    wrapped = FlatModule(module, flat)
    tables = tables_read(wrapped, flat.tensors)
    shapes = find_shapes(wrapped, flat.tensors)
    given = wrapped(*flat.tensors)
    contract = infer_contract(flat.names, flat.tensors, flat.dtypes, ("score",), given, shapes, tables)
    vocabularies = [each.vocabulary for each in contract.functions["main"].inputs]
    assert vocabularies == ["history", "history", "context"]
    assert sorted(contract.vocabularies) == ["context", "history"]


class Counts(nn.Module):
    def forward(self, history: Tensor) -> Tensor:
        return (history == 0).sum(1).float()


def test_a_name_that_forward_does_not_take_is_said() -> None:
    flat = flatten_example(Counts(), {"histroy": torch.ones(2, 3)})
    message = r"its keys \(histroy\) are no parameters of forward\(history\) and went in as one dict"
    with pytest.raises(InputError, match=message):
        find_shapes(FlatModule(Counts(), flat), flat.tensors)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (
            ("history", "prize", "valid"),
            r"has 'prize'; forward takes .*; did you mean 'price'",
        ),
        (("history", "price"), r"the example lacks 'valid'; forward takes history, price, valid"),
        (("a", "b", "c"), r"the example has 'a'; forward takes history, price, valid"),
    ],
)
def test_names_of_several_inputs_are_those_of_forward(names: tuple[str, ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        flatten_example(Scores(), dict(zip(names, example(), strict=False)))
