"""Compression of a module that is converted from an example: codes in the files, the loss said apart."""

from __future__ import annotations

import json
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from torch import Tensor, nn

import pocketrec
from pocketrec.cli.main import main
from pocketrec.errors import Derived, PlanError, Refused, UsageError
from pocketrec.quantize import Plan
from pocketrec.quantize.schemes.linear import Linear
from pocketrec.quantize.schemes.palette import Palette

MODEL = '''
import torch
from torch import nn

class Ranker(nn.Module):
    """A tied table, a layer, and a table that nothing reads."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.item = nn.Embedding(200, 32, padding_idx=0)
        self.mix = nn.Linear(32, 64)
        self.back = nn.Linear(64, 32)
        self.unread = nn.Embedding(100, 32)

    def forward(self, history):
        user = self.back(torch.relu(self.mix(self.item(history).mean(1))))
        return user @ self.item.weight.T

def make():
    return Ranker()
'''
EXAMPLE = torch.randint(1, 200, (6, 5), generator=torch.Generator().manual_seed(1))


@pytest.fixture
def ranker() -> nn.Module:
    space: dict[str, Any] = {}
    exec(MODEL, space)
    module: nn.Module = space["make"]().eval()
    return module


@pytest.mark.parametrize(("preset", "target", "least"), [("int8", "iOS17", 40.0), ("int4", "iOS18", 15.0)])
def test_a_preset_is_carried_by_both_targets_and_its_loss_is_said_apart(
    preset: str, target: str, least: float, ranker: nn.Module, tmp_path: Path
) -> None:
    before = {name: each.clone() for name, each in ranker.state_dict().items()}
    found = pocketrec.convert_module(
        ranker, EXAMPLE, tmp_path / "out", compress=preset, minimum_deployment_target=target
    )
    assert (set(found.artifacts), found.refused, found.notes) == ({"coreml", "onnx"}, {}, ())
    done = {each.name: each for each in found.compression}
    assert done["item.weight"].bytes_after < 0.3 * done["item.weight"].bytes_before
    assert "rounding = feedback" in done["mix.weight"].asked
    assert done["unread.weight"].done == "float32"
    (loss,) = found.loss
    assert least < loss.sqnr_db < 70
    assert all(each.max_abs_error < 1e-4 < loss.max_abs_error for (each,) in found.parity.values())
    assert all(torch.equal(before[name], each) for name, each in ranker.state_dict().items())
    kept = json.loads((tmp_path / "out" / "conversion.json").read_text())
    assert {each["name"] for each in kept["compression"]} == set(before)


def test_feedback_loses_less_than_rounding_to_nearest(ranker: nn.Module, tmp_path: Path) -> None:
    loss = {}
    for rounding in ("nearest", "feedback"):
        scheme = Linear(bits=4, rounding=rounding)
        plan = Plan(tensors={"item.weight": scheme, "mix.weight": scheme, "back.weight": scheme})
        found = pocketrec.convert_module(ranker, EXAMPLE, tmp_path / rounding, ["onnx"], compress=plan)
        loss[rounding] = found.loss[0].sqnr_db
    assert loss["feedback"] > loss["nearest"] + 1


def test_what_a_target_cannot_carry_is_refused_for_it_alone(ranker: nn.Module, tmp_path: Path) -> None:
    found = pocketrec.convert_module(ranker, EXAMPLE, tmp_path, compress="int4")
    assert set(found.artifacts) == {"onnx"}
    assert "needs minimum_deployment_target iOS18" in found.refused["coreml"]


@pytest.mark.parametrize(
    ("compress", "error", "message"),
    [
        ("int2", UsageError, r"compress 'int2': expected int8, int4, or a plan"),
        ("smallest-neutral", UsageError, r"a search measures .* a recipe with \[model\] example"),
        (8, UsageError, r"compress 8: expected int8, int4, or a plan"),
        (Plan(tensors={"items.*": Linear()}), PlanError, r"'items\.\*' fits no tensor; .* item\.weight"),
        (
            Plan(tensors={"mix.weight": Palette(groups=5)}),
            PlanError,
            r"mix\.weight: 32 columns do",
        ),
        (Plan(tensors={"unread.weight": Linear()}), (PlanError, Refused), r"unread\.weight"),
    ],
)
def test_what_cannot_be_done_is_an_error_that_names_it(
    compress: Any, error: Any, message: str, ranker: nn.Module, tmp_path: Path
) -> None:
    with pytest.raises(error, match=message):
        pocketrec.convert_module(ranker, EXAMPLE, tmp_path / "out", compress=compress)
    assert not (tmp_path / "out").exists()


class Scripted(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.mix = nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        mixed: Tensor = self.mix(x)
        return mixed


def test_torchscript_is_told_to_come_as_a_module(tmp_path: Path) -> None:
    scripted = torch.jit.script(Scripted().eval())
    with pytest.raises(UsageError, match=r"TorchScript hides .* pass the nn\.Module"):
        pocketrec.convert_module(scripted, torch.rand(3, 8), tmp_path, compress="int8")


def test_the_command_takes_a_preset_and_a_plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.py").write_text(MODEL)
    np.savez(tmp_path / "inputs.npz", EXAMPLE.numpy())
    (tmp_path / "plan.toml").write_text('[compress.tensors]\n"mix.*" = { scheme = "palette", bits = 4 }\n')
    (tmp_path / "bad.toml").write_text("[compress]\ntensors = 3\n")
    base = ["convert", "model.py:make", "--example", "inputs.npz", "--target", "onnx", "--compress"]
    run = CliRunner().invoke
    made = run(main, [*base, "plan.toml"])
    assert made.exit_code == 0, made.output
    assert "palette 4 bit" in made.output
    assert "compression loss: output: " in made.output
    for asked, message in (
        ("bad.toml", "--compress bad.toml: expected a table [compress.tensors]"),
        ("none.toml", "none.toml: no such file"),
        ("int3", "compress 'int3': expected int8, int4, or a plan"),
    ):
        failed = run(main, [*base, asked])
        assert failed.exit_code == 2
        assert message in " ".join(failed.output.split())


class Normed(nn.Module):
    """Layers with batch normalization after them, which converters multiply into the weights."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.conv_norm = nn.Conv1d(8, 64, 3), nn.BatchNorm1d(64)
        self.mix, self.norm = nn.Linear(64, 64), nn.BatchNorm1d(64)
        for each in (self.conv_norm, self.norm):
            each.running_mean, each.running_var = torch.randn(64), torch.rand(64) + 0.5

    def forward(self, x: Tensor) -> Tensor:
        hidden: Tensor = torch.relu(self.conv_norm(self.conv(x))).mean(2)
        return torch.relu(self.norm(self.mix(hidden)))


def test_weights_before_a_batch_normalization_are_stored_as_codes(tmp_path: Path) -> None:
    plan = Plan(tensors={"conv.weight": Linear(bits=8), "mix.weight": Linear(bits=8)})
    found = pocketrec.convert_module(Normed().eval(), torch.randn(4, 8, 9), tmp_path, compress=plan)
    assert found.refused == {}
    assert {each.name for each in found.compression if each.asked} == {"conv.weight", "mix.weight"}


class Scaled(nn.Module):
    """A catalogue that is normalized in every call: no graph holds the table itself."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.table, self.mix = nn.Parameter(torch.randn(300, 16)), nn.Linear(16, 16)

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.mix(x) @ nn.functional.normalize(self.table, dim=1).T
        return scores


def test_a_table_that_is_only_read_folded_is_said_and_refused_in_a_plan(tmp_path: Path) -> None:
    example = torch.randn(4, 16)
    found = pocketrec.convert_module(Scaled().eval(), example, tmp_path / "out", compress="int8")
    assert found.refused == {}
    assert found.notes == (
        "a constant of 16 × 300 that main computes from weights stays in float32: keep it in a buffer of "
        "the module to compress it",
    )
    plan = Plan(tensors={"table": Linear(bits=8)})
    with pytest.raises(PlanError, match=r"table: no function reads it, unless folded into another"):
        pocketrec.convert_module(Scaled().eval(), example, tmp_path / "none", compress=plan)


def test_a_preset_leaves_out_what_a_graph_holds_only_folded_and_a_plan_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a converter that multiplies batch normalization into the weights all the same."""
    from pocketrec.convert.onnx import lower as onnx

    monkeypatch.setattr(onnx, "weights_kept", lambda _: nullcontext())
    example = torch.randn(4, 8, 9)
    found = pocketrec.convert_module(Normed().eval(), example, tmp_path / "out", compress="int8")
    assert found.refused == {}
    assert found.notes == (
        "conv.weight stays in float32: a graph holds it only folded into others",
        "mix.weight stays in float32: a graph holds it only folded into others",
    )
    plan = Plan(tensors={"mix.weight": Linear(bits=8)})
    with pytest.raises(Derived, match=r"mix\.weight: linear 8 bit per_row, scales was asked for"):
        pocketrec.convert_module(Normed().eval(), example, tmp_path / "none", ["onnx"], compress=plan)


class Folded(nn.Module):
    """Weights that converters turn, reshape or repeat: attention of PyTorch's own."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.item, self.place = nn.Embedding(200, 32), nn.Parameter(torch.randn(5, 32))
        self.attention = nn.MultiheadAttention(32, 2, batch_first=True)

    def forward(self, history: Tensor) -> Tensor:
        x = self.item(history) + self.place
        x = self.attention(x, x, x, need_weights=False)[0]
        pooled: Tensor = x.mean(1)
        return pooled


@pytest.mark.parametrize("bits", [4, 8])
def test_weights_that_converters_turn_reshape_or_repeat_are_stored_as_codes(
    bits: Any, tmp_path: Path
) -> None:
    names = (
        "item.weight",
        "place",
        "attention.in_proj_weight",
        "attention.out_proj.weight",
    )
    plan = Plan(tensors={name: Linear(bits=bits) for name in names})
    found = pocketrec.convert_module(
        Folded().eval(), EXAMPLE, tmp_path, compress=plan, minimum_deployment_target="iOS18"
    )
    assert found.refused == {}
    assert {each.name for each in found.compression if each.asked} == set(names)
    for path in found.artifacts.values():
        size = sum(each.stat().st_size for each in (path, *path.rglob("*")) if each.is_file())
        assert size < 0.6 * 4 * sum(each.numel() for each in Folded().parameters()) + 40_000


class Unrolled(nn.Module):
    """A loop over the rows: only the example's batch can be captured."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.item = nn.Embedding(200, 32)

    def forward(self, history: Tensor) -> Tensor:
        return torch.stack([self.item(row).sum(0) for row in history])


def test_a_module_whose_batch_has_to_be_fixed_is_compressed_too(tmp_path: Path) -> None:
    found = pocketrec.convert_module(Unrolled().eval(), EXAMPLE, tmp_path, ["onnx"], compress="int8")
    (note,) = found.notes
    assert note.startswith("onnx: the batch is fixed: ")
    assert "makes a number of the size batch" in note
    assert [each.bits < 9 for each in found.compression] == [True]


def test_a_module_that_cannot_be_captured_is_refused_as_without_compression(tmp_path: Path) -> None:
    class Random(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x + torch.rand(1)

    with pytest.raises(Refused, match="draws random numbers"):
        pocketrec.convert_module(Random().eval(), torch.rand(3, 8), tmp_path, compress="int8")


class UnrolledRecurrent(Unrolled):
    """As above, with weights that Core ML holds only rearranged."""

    def __init__(self) -> None:
        super().__init__()
        self.gru = nn.GRU(32, 48, batch_first=True)

    def forward(self, history: Tensor) -> Tensor:
        states: Tensor = self.gru(torch.stack([self.item(row) for row in history]))[0]
        return states[:, -1]


def test_a_preset_leaves_out_for_the_attempt_that_needs_it(tmp_path: Path) -> None:
    module = UnrolledRecurrent().eval()
    found = pocketrec.convert_module(module, EXAMPLE, tmp_path, ["coreml"], compress="int8")
    assert found.refused == {}
    assert "gru.weight_hh_l0 stays in float32: a graph holds it only folded into others" in found.notes
    assert {each.name for each in found.compression if each.asked} == {"item.weight"}


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_a_module_of_another_precision_is_compressed_in_float32(
    dtype: torch.dtype, ranker: nn.Module, tmp_path: Path
) -> None:
    found = pocketrec.convert_module(ranker.to(dtype), EXAMPLE, tmp_path, ["onnx"], compress="int8")
    assert {each.name for each in found.compression if each.asked} == {
        "item.weight",
        "mix.weight",
        "back.weight",
    }
    assert {each.dtype for each in ranker.parameters()} == {dtype}


def test_a_preset_that_would_compress_nothing_is_refused(tmp_path: Path) -> None:
    class Scores(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Parameter(torch.randn(300, 16))

        def forward(self, x: Tensor) -> Tensor:
            return x @ nn.functional.normalize(self.table, dim=1).T

    with pytest.raises(PlanError, match=r"preset 'int8' finds no float32 table .* nothing would be"):
        pocketrec.convert_module(Scores().eval(), torch.randn(4, 16), tmp_path / "out", compress="int8")
