"""Any module converts from an example and is proved, or is refused with line, reason and remedy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import pocketrec
from pocketrec.contract import Contract
from pocketrec.errors import ContractError, InputError, Refused, UsageError
from pocketrec.pipeline.convert import Conversion
from pocketrec.schema import from_table


class Ranker(nn.Module):
    """Ids and a price in a dict; a row axis that a batch of one loses."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.user, self.item = nn.Embedding(30, 8), nn.Embedding(50, 8, padding_idx=0)
        self.out = nn.Linear(17, 1)

    def forward(self, x: dict[str, Tensor]) -> Tensor:
        history = self.item(x["history"]).mean(1)
        row = torch.cat([self.user(x["user"]), history, x["price"].unsqueeze(1)], -1)
        return torch.sigmoid(self.out(row)).squeeze()


def example() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(1)
    return {
        "user": torch.randint(0, 30, (4,), generator=generator),
        "history": torch.randint(0, 50, (4, 6), generator=generator),
        "price": torch.rand(4, generator=generator),
    }


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> Conversion:
    return pocketrec.convert_module(Ranker().eval(), example(), tmp_path_factory.mktemp("converted"))


def test_both_targets_equal_the_module_on_other_rows_and_other_batches(converted: Conversion) -> None:
    assert set(converted.artifacts) == {"coreml", "onnx"}
    assert converted.refused == {}
    assert (converted.inputs, converted.outputs) == (("user", "history", "price"), ("output",))
    module = Ranker().eval()
    for rows in (1, 2, 7):
        x = {name: value[torch.arange(rows) % 4] for name, value in example().items()}
        x["history"] = (x["history"] + 3) % 50
        expected = module(x).detach().numpy().reshape(rows)
        for path in converted.artifacts.values():
            with pocketrec.open(path) as artifact:
                feed = {name: value.numpy().astype(spec.dtype) for (name, value), spec in _specs(artifact, x)}
                assert np.allclose(artifact.run(feed)["output"], expected, atol=1e-5)


def _specs(artifact: Any, x: dict[str, Tensor]) -> list[Any]:
    specs = {each.name: each for each in artifact.describe().inputs}
    return [((name, value), specs[name]) for name, value in x.items()]


def test_the_proof_and_a_contract_that_can_be_given_back_lie_beside_them(converted: Conversion) -> None:
    folder = converted.artifacts["onnx"].parent
    table = json.loads((folder / "contract.json").read_text())
    contract = from_table(Contract, table, source="contract.json")
    assert contract == converted.contract
    assert contract.vocabularies["history"].padding_id == 0
    report = json.loads((folder / "conversion.json").read_text())
    assert {each["output"] for each in report["parity"]["coreml"]} == {"output"}
    assert all(each.max_abs_error < 1e-5 for results in converted.parity.values() for each in results)
    assert min(each.probes for each in converted.parity["onnx"]) >= 8


class Numpy(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x + torch.from_numpy(np.array(x.numpy()[::-1]))


class Cached(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.seen: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        self.seen = x * 2 if self.seen is None else self.seen
        return self.seen


class Random(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x + torch.randn(3)


class Bessel(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        given: Tensor = torch.special.i0e(x)
        return given


@pytest.mark.parametrize(
    ("module", "words"),
    [
        (
            Numpy(),
            r"\.numpy\(\) at .*test_convert.py:\d+: it takes a value that depends on x out of PyTorch",
        ),
        (Random(), r"randn at .*test_convert.py:\d+: function main draws random numbers"),
        (
            Bessel(),
            r"i0e at .*test_convert.py:\d+: function main: coremltools has no lowering",
        ),
    ],
)
def test_a_refusal_names_op_line_reason_and_remedy(module: nn.Module, words: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(Refused, match=words) as caught:
        pocketrec.convert_module(module.eval(), (torch.rand(4, 3),), out, targets=("coreml",))
    assert caught.value.remedy
    assert list(tmp_path.iterdir()) == []


def test_a_result_that_was_cached_is_refused_and_the_users_module_is_not_touched(tmp_path: Path) -> None:
    module = Cached().eval()
    with pytest.raises((Refused, InputError)):
        pocketrec.convert_module(module, (torch.rand(4, 3),), tmp_path / "out")
    assert module.seen is None
    module(torch.rand(4, 3))
    with pytest.raises(Refused, match=r"no output depends on an input; a cached or constant result"):
        pocketrec.convert_module(module, (torch.rand(4, 3),), tmp_path / "out")


def test_an_answer_that_depends_on_earlier_calls_is_refused(tmp_path: Path) -> None:
    class Counting(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.largest = 0

        def forward(self, x: Tensor) -> Tensor:
            self.largest = max(self.largest, x.shape[0])
            return x * self.largest

    with pytest.raises(Refused, match=r"Counting: the answer depends on earlier calls: on probe 'example'"):
        pocketrec.convert_module(Counting().eval(), (torch.rand(4, 3),), tmp_path / "out")


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"targets": ("tflite",)}, UsageError, r"targets \['tflite'\]: expected some of onnx, web, coreml"),
        ({"example_inputs": ()}, InputError, r"the example has no tensor"),
        ({"example_inputs": (torch.rand(4, 2),)}, InputError, r"the module does not run on its example"),
        ({"module": nn.Linear(3, 2)}, UsageError, r"Linear is in training mode; call module.eval\(\) first"),
    ],
)
def test_a_call_that_makes_no_sense_is_one_line(change: Any, error: Any, words: str, tmp_path: Path) -> None:
    call = {"module": nn.Linear(3, 2).eval(), "example_inputs": (torch.rand(4, 3),), "out": tmp_path / "out"}
    with pytest.raises(error, match=words):
        pocketrec.convert_module(**{**call, **change})
    assert not (tmp_path / "out").exists()


def test_a_contract_with_another_number_of_inputs_is_an_error(converted: Conversion, tmp_path: Path) -> None:
    with pytest.raises(ContractError, match=r"the contract names 3 inputs; the example has 1: input"):
        pocketrec.convert_module(
            nn.Linear(3, 2).eval(), (torch.rand(4, 3),), tmp_path, contract=converted.contract
        )


def test_an_artifact_that_differs_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A converter that lies is found by the proof, and its artifact does not appear."""
    from pocketrec.convert.onnx import lower as onnx

    def lying(capture: Any, path: Path, **options: Any) -> Path:
        with torch.no_grad():
            capture.module.module.module.weight.add_(0.1)
        return to_onnx(capture, path, **options)

    to_onnx = onnx.to_onnx
    monkeypatch.setattr(onnx, "to_onnx", lying)
    out = tmp_path / "out"
    with pytest.raises(
        Refused, match=r"onnx: the converted model differs from the module: main.output: off by"
    ):
        pocketrec.convert_module(nn.Linear(3, 2).eval(), (torch.rand(4, 3),), out, targets=("onnx",))
    assert not out.exists()


@pytest.mark.parametrize("kind", ["trace", "script", "export"])
def test_saved_modules_convert_like_the_module(kind: str, tmp_path: Path) -> None:
    from pocketrec.source.saved import load_saved

    class Mean(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Embedding(20, 3)

        def forward(self, ids: Tensor) -> Tensor:
            rows: Tensor = self.table(ids).mean(1)
            return rows

    torch.manual_seed(0)
    module, ids = Mean().eval(), torch.tensor([[1, 2], [3, 4], [5, 6]])
    path = tmp_path / ("model.pt2" if kind == "export" else "model.pt")
    if kind == "export":
        batch = {0: torch.export.Dim("batch", min=1, max=99)}
        torch.export.save(torch.export.export(module, (ids,), dynamic_shapes=(batch,)), path)
    else:
        jit: Any = torch.jit
        saved = jit.trace(module, (ids,)) if kind == "trace" else jit.script(module)
        saved.save(str(path))
    done = pocketrec.convert_module(load_saved(path), (ids,), tmp_path / "out", targets=("onnx",))
    with pocketrec.open(done.artifacts["onnx"]) as artifact:
        given = artifact.run({done.inputs[0]: np.array([[7, 8]], np.int32)})[done.outputs[0]]
    assert np.allclose(given, module(torch.tensor([[7, 8]])).detach().numpy(), atol=1e-6)


def test_a_saved_file_that_is_no_module_is_one_line(tmp_path: Path) -> None:
    from pocketrec.source.saved import load_saved

    for name in ("state.pt", "state.pt2"):
        torch.save({"weight": torch.ones(2)}, tmp_path / name)
        with pytest.raises(UsageError, match=r"holds a state dict|no part of an exported"):
            load_saved(tmp_path / name)
    with pytest.raises(UsageError, match=r"none.pt: no such file"):
        load_saved(tmp_path / "none.pt")


class Forgetful(nn.Module):
    """Writes into an index of its own where the batch is not the usual one, and then fails."""

    def __init__(self) -> None:
        super().__init__()
        self.order = np.arange(4)

    def forward(self, x: Tensor) -> Tensor:
        if len(x) == 1:
            self.order[:] = 0
            raise RuntimeError("a batch of one is not for this module")
        return x[:, torch.from_numpy(self.order.copy())] * torch.arange(4.0)


def test_a_run_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    x = torch.randn(3, 4)
    conversion = pocketrec.convert_module(Forgetful().eval(), (x,), tmp_path / "out", targets=("onnx",))
    with pocketrec.open(conversion.artifacts["onnx"]) as runtime:
        (actual,) = runtime.run({conversion.inputs[0]: x.numpy()}).values()
    torch.testing.assert_close(torch.from_numpy(actual), x * torch.arange(4.0))


class Echo(nn.Module):
    """Its inputs, and one result twice."""

    def forward(self, ids: Tensor, x: Tensor) -> dict[str, Any]:
        total = x * 2
        return {"again": x, "ids": ids, "twice": [total, total]}


def test_inputs_and_one_result_under_two_names_are_outputs_of_their_own(tmp_path: Path) -> None:
    inputs = (torch.arange(6).reshape(2, 3), torch.rand(2, 3))
    found = pocketrec.convert_module(Echo().eval(), inputs, tmp_path)
    assert found.refused == {}
    assert len(set(found.outputs)) == 4


@torch.jit.script
def doubled(x: Tensor) -> Tensor:
    return x * 2


class Scripted(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        answer: Tensor = doubled(x)
        return answer


class Writing(nn.Module):
    """Changes its input in place before it reads it."""

    def forward(self, x: Tensor) -> Tensor:
        x += 1
        return x * x


class Constant(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.ones(x.shape[0], 2)


def test_a_scripted_function_is_followed_by_its_answers(tmp_path: Path) -> None:
    assert pocketrec.convert_module(Scripted().eval(), (torch.rand(3, 4),), tmp_path).refused == {}


def test_an_answer_that_no_input_changes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="no output depends on an input"):
        pocketrec.convert_module(Constant().eval(), (torch.rand(3, 4),), tmp_path)


def test_a_forward_may_write_to_its_input_and_the_callers_stays(tmp_path: Path) -> None:
    x = torch.rand(3, 4)
    before = x.clone()
    assert pocketrec.convert_module(Writing().eval(), (x,), tmp_path).refused == {}
    assert torch.equal(x, before)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_a_module_of_16_bits_is_converted_in_float32(dtype: torch.dtype, tmp_path: Path) -> None:
    """Its sums would be rounded elsewhere by every engine; the weights are what they are."""
    module = nn.Linear(64, 2).to(dtype).eval()
    found = pocketrec.convert_module(module, (torch.rand(3, 64).to(dtype),), tmp_path)
    assert found.refused == {}
    assert module.weight.dtype == dtype


def test_packed_weights_are_refused_with_the_way_out(tmp_path: Path) -> None:
    quantize: Any = torch.ao.quantization.quantize_dynamic
    module = quantize(nn.Sequential(nn.Linear(4, 2)).eval())
    with pytest.raises(Refused, match=r"0 holds packed weights .* convert the module as it was before"):
        pocketrec.convert_module(module, (torch.rand(3, 4),), tmp_path)


class Catalogue(nn.Module):
    """A table that is written to a file of its own, and a head."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.item, self.head = nn.Embedding(300, 16), nn.Linear(16, 4)

    def forward(self, items: Tensor) -> Tensor:
        given: Tensor = self.head(self.item(items).amax(1))
        return given


@pytest.fixture
def small_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    from pocketrec.convert.onnx.lower import to_onnx

    defaults = to_onnx.__kwdefaults__ or {}
    monkeypatch.setitem(defaults, "large_bytes", 300 * 16 * 4)


def _catalogue(out: Path) -> Conversion:
    items = torch.randint(0, 300, (3, 5), generator=torch.Generator().manual_seed(4))
    return pocketrec.convert_module(Catalogue().eval(), items, out, targets=("onnx",))


@pytest.mark.usefixtures("small_is_large")
def test_an_artifact_comes_with_its_weight_file_and_opens_where_it_is_published(tmp_path: Path) -> None:
    out = tmp_path / "out"
    path = _catalogue(out).artifacts["onnx"]
    assert {each.name for each in out.iterdir()} >= {"model.onnx", "model.onnx.data"}
    assert (out / "model.onnx.data").stat().st_size == 300 * 16 * 4
    items = np.array([[299, 0], [7, 7]], np.int32)
    with pocketrec.open(path) as artifact:
        expected = Catalogue().eval()(torch.from_numpy(items)).detach().numpy()
        assert np.allclose(artifact.run({"items": np.tile(items, (1, 3))[:, :5]})["output"], expected)


def test_a_weight_file_of_an_older_artifact_does_not_stay_beside_a_newer_one(
    tmp_path: Path, small_is_large: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    _catalogue(tmp_path / "out")
    monkeypatch.undo()
    _catalogue(tmp_path / "out")
    assert not (tmp_path / "out/model.onnx.data").exists()


@pytest.mark.usefixtures("small_is_large")
def test_nothing_is_published_that_does_not_run_where_it_was_put(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pocketrec.pipeline.publish._move", lambda path, place: path.rename(place))
    (tmp_path / "out").mkdir()
    with pytest.raises(Refused, match=r"does not run from .*model\.onnx\.data: no such file"):
        _catalogue(tmp_path / "out")
    assert not (tmp_path / "out/model.onnx").exists()


class Tied(nn.Module):
    """Scores by the table that the history is looked up in."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.item, self.mix = nn.Embedding(50, 8), nn.Linear(8, 8)

    def forward(self, history: Tensor) -> Tensor:
        scores: Tensor = self.mix(self.item(history).mean(1)) @ self.item.weight.T
        return scores


def test_a_table_of_a_few_numbers_streams_as_it_is_held(tmp_path: Path) -> None:
    history = torch.arange(1, 13).reshape(4, 3)
    scores = []
    for stream_mb in (0, 1e-6):
        out = tmp_path / str(stream_mb)
        done = pocketrec.convert_module(Tied().eval(), history, out, ("onnx",), stream_mb=stream_mb)
        with pocketrec.open(done.artifacts["onnx"]) as artifact:
            scores.append(artifact.run({"history": history.numpy().astype(np.int32)})["output"])
    np.testing.assert_array_equal(scores[0], scores[1])
    torch.testing.assert_close(torch.from_numpy(scores[0]), Tied()(history).detach())


def test_an_example_for_which_the_module_gives_no_number_is_named(tmp_path: Path) -> None:
    x = torch.tensor([[1.0, torch.nan]])
    with pytest.raises(InputError, match=r"gives NaN for its example, whose input input holds NaN"):
        pocketrec.convert_module(nn.Linear(2, 2).eval(), x, tmp_path, ("onnx",))


class Hashed(nn.Module):
    """Ids times a number, which int32 does not hold for most of them."""

    def forward(self, x: Tensor) -> Tensor:
        return x.long() * 2**24


def test_a_stated_int32_output_is_refused_where_a_probe_near_the_example_shows_more(tmp_path: Path) -> None:
    table = {
        "dims": {"users": {"max": 8}},
        "vocabularies": {"x": {"size": 1000}},
        "functions": {
            "main": {
                "inputs": [{"name": "x", "kind": "id", "shape": ["users"], "vocabulary": "x"}],
                "outputs": [{"name": "y", "meaning": "top_k_ids", "dtype": "int32", "shape": ["users"]}],
            }
        },
    }
    contract = from_table(Contract, table, source="contract")
    example = torch.tensor([1, 2], dtype=torch.int32)
    with pytest.raises(ContractError, match=r"output y: the module gives .*declare dtype = 'int64'"):
        pocketrec.convert_module(Hashed().eval(), {"x": example}, tmp_path, ("onnx",), contract)
