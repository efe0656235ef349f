"""A capture holds the whole function, or is refused by name."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from pocketrec.contract import Contract, Feature, Output, Signature, VocabularySpec
from pocketrec.convert.capture.capture import Capture, capture
from pocketrec.convert.watch.contract_module import ContractModule
from pocketrec.errors import ContractError, Refused

Probes = list[dict[str, Tensor]]


def dense_contract(width: int = 4) -> Contract:
    feature = Feature(name="x", kind="dense", dtype="float32", shape=(2, width))
    output = Output(name="y", meaning="score", shape=(2, width))
    return Contract(functions={"main": Signature(inputs=(feature,), outputs=(output,))})


def dense_probes() -> Probes:
    return [{"x": torch.rand(2, 4, generator=torch.Generator().manual_seed(seed))} for seed in range(3)]


def test_a_capture_answers_every_probe_as_the_module_does(
    captured: Capture, tiny: nn.Module, probes: Probes
) -> None:
    for probe in probes:
        expected = tiny(probe["history"], probe["genres"])
        actual = captured.program.module()(probe["history"], probe["genres"])
        assert torch.allclose(actual[0], expected[0], atol=1e-5)
        assert torch.equal(actual[2], expected[2].int())


def test_an_unknown_id_becomes_the_padding_id_inside_the_graph(tiny: nn.Module, contract: Contract) -> None:
    guarded = ContractModule(tiny, contract, contract.functions["main"])
    genres = torch.zeros(1, 4, dtype=torch.int32)
    strange = torch.tensor([[-1, 300, 2**31 - 1, 7]], dtype=torch.int32)
    padded = torch.tensor([[0, 0, 0, 7]], dtype=torch.int32)
    assert torch.equal(guarded(strange, genres)[0], guarded(padded, genres)[0])


def test_without_a_guard_an_unknown_id_is_the_callers_mistake(tiny: nn.Module, contract: Contract) -> None:
    signature = contract.functions["main"]
    free = tuple(replace(each, out_of_vocabulary="forbid") for each in signature.inputs)
    module = ContractModule(tiny, contract, replace(signature, inputs=free))
    with pytest.raises(IndexError):
        module(torch.tensor([[300]], dtype=torch.int32), torch.zeros(1, 4, dtype=torch.int32))


class Noisy(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x + torch.rand_like(x)


class BakedIn(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * float(x.detach().numpy().sum())


class Data(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x if x.sum() > 0 else -x


class TwoOutputs(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x, x


def test_a_forward_that_draws_random_numbers_is_refused() -> None:
    with pytest.raises(Refused, match=r"function main draws random numbers: output y differs"):
        capture(Noisy(), dense_contract(), "main", dense_probes())


def test_a_forward_that_leaves_torch_is_refused_with_its_line() -> None:
    with pytest.raises(Refused, match=r"\.numpy\(\) at .*test_capture.py:\d+: it takes a value .* on x out"):
        capture(BakedIn(), dense_contract(), "main", dense_probes())


def test_a_forward_that_branches_on_data_is_refused_with_its_line() -> None:
    probes = [*dense_probes(), *({"x": -each["x"].abs() - 1} for each in dense_probes())]
    with pytest.raises(Refused, match=r"\.bool\(\) at .*test_capture.py:\d+: the code branches on a value"):
        capture(Data(), dense_contract(), "main", probes)


def test_outputs_that_the_contract_does_not_name_are_an_error() -> None:
    with pytest.raises(ContractError, match=r"returned 2 tensors; the contract names 1 \(y\)"):
        capture(TwoOutputs(), dense_contract(), "main", dense_probes())


def test_a_shape_that_the_contract_does_not_say_is_an_error() -> None:
    contract = dense_contract()
    signature = contract.functions["main"]
    wrong = replace(signature, outputs=(Output(name="y", meaning="score", shape=(2, 5)),))
    with pytest.raises(ContractError, match=r"output y has shape \(2, 4\); the contract says \[2, 5\]"):
        capture(nn.Identity(), replace(contract, functions={"main": wrong}), "main", dense_probes())


def test_a_method_that_the_module_lacks_is_an_error() -> None:
    contract = dense_contract()
    signature = replace(contract.functions["main"], method="embed")
    with pytest.raises(ContractError, match=r"Identity has no method 'embed'"):
        ContractModule(nn.Identity(), contract, signature)


def test_a_guard_needs_an_id_to_fall_back_on() -> None:
    feature = Feature(name="x", kind="id", shape=(1,), vocabulary="item", out_of_vocabulary="unknown")
    output = Output(name="y", meaning="score", shape=(1,))
    with pytest.raises(ContractError, match=r"has no unknown_id"):
        Contract(
            functions={"main": Signature(inputs=(feature,), outputs=(output,))},
            vocabularies={"item": VocabularySpec(size=3)},
        )


class Transposed(nn.Module):
    """A normalization over the last axis, which PyTorch's decomposition lays out in another way."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.linear = nn.BatchNorm1d(4), nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        turned = x.reshape(-1, 1, 4).expand(-1, 5, -1).transpose(1, 2)
        scores: Tensor = self.linear((self.norm(turned).sigmoid() * turned).transpose(1, 2))
        return scores.mean(1)


def test_a_layout_that_a_decomposition_changes_is_no_mistake() -> None:
    module = Transposed().eval()
    captured = capture(module, dense_contract(), "main", dense_probes())
    torch.testing.assert_close(captured.module(*captured.example)[0], module(*captured.example))


class NothingToSqueeze(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.squeeze(1) * 2


def test_a_squeeze_of_an_axis_that_is_not_one_leaves_no_trace() -> None:
    captured = capture(NothingToSqueeze().eval(), dense_contract(), "main", dense_probes())
    assert not any("squeeze" in str(node.target) for node in captured.program.graph.nodes)


class Unread(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        nn.functional.gumbel_softmax(x)  # drawn for training, and not read here
        return x * 2


def test_a_random_draw_that_nothing_reads_is_left_out() -> None:
    captured = capture(Unread().eval(), dense_contract(), "main", dense_probes())
    assert not any("exponential" in str(node.target) for node in captured.program.graph.nodes)
