"""Streamed artifacts: the bytes of the in-memory path, or a clear error and nothing at all."""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from safetensors.torch import save_file
from tests.conftest import ROWS, STREAM_BYTES, WIDTH, Case

from pocketrec.convert.capture.capture import Capture
from pocketrec.convert.capture.streamed import capture_streamed
from pocketrec.convert.coreml import weights as coreml_seam
from pocketrec.convert.coreml.lower import to_coreml
from pocketrec.convert.onnx import scan as onnx_scan
from pocketrec.convert.onnx.lower import to_onnx
from pocketrec.errors import PlanError, RecipeError, Refused, StorageError, TableError
from pocketrec.quantize import Plan, compress
from pocketrec.quantize.schemes import Scheme
from pocketrec.quantize.schemes.float16 import Float16
from pocketrec.quantize.schemes.hot_rows import HotRows
from pocketrec.quantize.schemes.linear import Linear
from pocketrec.quantize.schemes.palette import Palette
from pocketrec.quantize.schemes.product import Product
from pocketrec.quantize.schemes.scaled_palette import ScaledPalette
from pocketrec.quantize.schemes.sparse import Sparse
from pocketrec.quantize.usage import Usage
from pocketrec.source.checkpoint import open_checkpoint
from pocketrec.source.compressed import compress_core
from pocketrec.source.streamed import load_streamed
from pocketrec.source.tables import Table, encoded_by

pytestmark = pytest.mark.usefixtures("small_chunks")

NAME = "item.weight"
WEIGHTS = "Data/com.apple.CoreML/weights/weight.bin"


USAGE = Usage(popularity=np.random.default_rng(1).pareto(1, ROWS) + 1)


def table_of(case: Case, scheme: Scheme | None, weights: Path | None = None) -> Table:
    span = open_checkpoint(weights or case.folder / "weights.safetensors")[NAME]
    table = Table(name=NAME, number=0, span=span)
    return table if scheme is None else encoded_by(table, scheme, usage=USAGE)


def in_memory(case: Case, whole: Capture, scheme: Scheme | None) -> tuple[Capture, dict[str, Any]]:
    """The capture with the compressed values in place of the table's, and the codes."""
    if scheme is None:
        return whole, {}
    module, codes = compress(case.module, Plan(tensors={NAME: scheme}), usage={NAME: USAGE})
    program = whole.program
    held = next(key for key in program.state_dict if key.endswith(NAME))
    changed = replace(whole, program=replaced_state(program, held, module.get_parameter(NAME)))
    return changed, dict(codes)


def replaced_state(program: Any, name: str, value: Any) -> Any:
    import copy

    other = copy.copy(program)
    other._state_dict = {**program.state_dict, name: value}
    return other


def files(path: Path) -> dict[str, bytes]:
    return {
        str(each.relative_to(path)): each.read_bytes() for each in sorted(path.rglob("*")) if each.is_file()
    }


COREML: list[tuple[Scheme | None, str, str]] = [
    (None, "float16", "iOS17"),
    (None, "float32", "iOS17"),
    (Linear(), "float16", "iOS17"),
    (Linear(bits=4), "float32", "iOS18"),
    (ScaledPalette(bits=3), "float16", "iOS18"),
    (HotRows(share=0.3), "float16", "iOS18"),
    (HotRows(share=0.01, cold_bits=2), "float32", "iOS18"),
    (HotRows(share=0.1, cold_bits=8, cold_width=4), "float32", "iOS18"),
]


@pytest.mark.parametrize(("scheme", "precision", "target"), COREML)
def test_a_streamed_package_is_byte_for_byte_the_one_made_in_memory(
    scheme: Scheme | None,
    precision: str,
    target: str,
    case: Case,
    streamed_capture: Capture,
    whole_capture: Capture,
    tmp_path: Path,
) -> None:
    captured, codes = in_memory(case, whole_capture, scheme)
    options: dict[str, Any] = {
        "precision": precision,
        "minimum_deployment_target": target,
        "flexible": ("batch",),
    }
    small = to_coreml(captured, tmp_path / "small.mlpackage", tensors=codes, **options)
    large = to_coreml(
        streamed_capture, tmp_path / "large.mlpackage", tables=[table_of(case, scheme)], **options
    )
    assert files(large) == files(small)
    assert (large / WEIGHTS).stat().st_size > ROWS * WIDTH * 3 // 8


@pytest.mark.parametrize(
    "scheme", [None, Linear(), Linear(bits=4), Palette(bits=3), Float16(), HotRows(), HotRows(cold_bits=3)]
)
def test_streamed_onnx_files_are_byte_for_byte_those_made_in_memory(
    scheme: Scheme | None, case: Case, streamed_capture: Capture, whole_capture: Capture, tmp_path: Path
) -> None:
    captured, codes = in_memory(case, whole_capture, scheme)
    for name in ("small", "large"):
        (tmp_path / name).mkdir()
    to_onnx(captured, tmp_path / "small" / "m.onnx", tensors=codes, large_bytes=8000)
    to_onnx(
        streamed_capture, tmp_path / "large" / "m.onnx", tables=[table_of(case, scheme)], large_bytes=8000
    )
    assert files(tmp_path / "large") == files(tmp_path / "small")
    assert sorted(files(tmp_path / "large")) == ["m.onnx", "m.onnx.data"]


def test_a_streamed_table_that_is_scanned_is_the_one_made_in_memory(
    case: Case,
    streamed_capture: Capture,
    whole_capture: Capture,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(onnx_scan, "LARGE", ROWS)
    monkeypatch.setattr(onnx_scan, "CHUNK", 8)
    captured, codes = in_memory(case, whole_capture, Linear())
    for name in ("small", "large"):
        (tmp_path / name).mkdir()
    small = to_onnx(captured, tmp_path / "small" / "m.onnx", tensors=codes)
    to_onnx(streamed_capture, tmp_path / "large" / "m.onnx", tables=[table_of(case, Linear())])
    assert "MatMulInteger" in {node.op_type for node in onnx.load(small).graph.node}
    assert files(tmp_path / "large") == files(tmp_path / "small")


def test_both_artifacts_answer_like_the_compressed_module(
    case: Case, streamed_capture: Capture, tmp_path: Path
) -> None:
    from pocketrec.validate.open import open_artifact

    streamed, codes = compress_core(case.load(), Plan(tensors={NAME: Linear()}))
    package = to_coreml(
        streamed_capture,
        tmp_path / "m.mlpackage",
        precision="float32",
        flexible=("batch",),
        tensors=codes,
        tables=streamed.tables,
    )
    model = to_onnx(
        streamed_capture, tmp_path / "m.onnx", tensors=codes, tables=streamed.tables, large_bytes=8000
    )
    reference, _ = compress(case.module, Plan(tensors={NAME: Linear()}))
    for path, runtime in ((package, "coreml-interpreter"), (model, None)):
        with open_artifact(path, runtime) as opened:
            for probe in case.probes:
                given = opened.run({"history": probe["history"].numpy()})
                scores, ids = reference(probe["history"])
                assert np.allclose(given["scores"], scores.numpy(), atol=1e-5)
                assert np.array_equal(given["ids"], ids.numpy())


def test_the_factory_is_not_asked_for_the_table_and_buffers_keep_their_values(case: Case) -> None:
    streamed = case.load()
    assert [(each.name, each.span.shape) for each in streamed.tables] == [(NAME, (ROWS, WIDTH))]
    assert streamed.lowered.get_parameter(NAME).untyped_storage().nbytes() == 4
    assert torch.equal(streamed.lowered.get_buffer("shift"), case.module.get_buffer("shift"))
    assert torch.equal(
        streamed.lowered.get_parameter("user.weight"), case.module.get_parameter("user.weight")
    )
    assert streamed.notes == ()


def test_a_factory_that_insists_on_allocating_works_and_is_noted(case: Case) -> None:
    (case.folder / "greedy.py").write_text(
        (case.folder / "factory.py").read_text()
        + "\nimport numpy as np\ndef greedy(rows, width):\n    module = make(rows, width)\n"
        "    module.item.weight = nn.Parameter(torch.from_numpy(np.ones((rows, width), np.float32)))\n"
        "    return module\n"
    )
    source = replace(case.source, factory="greedy.py:greedy")
    streamed = load_streamed(source, base=case.folder)
    assert streamed.tables
    assert streamed.notes == (f"model.factory allocates {NAME} itself ({STREAM_BYTES} bytes)",)


def damaged(case: Case, tmp_path: Path, row: int, value: float) -> Path:
    state = {name: each.clone() for name, each in case.module.state_dict().items()}
    state[NAME][row, 3] = value
    save_file(state, tmp_path / "damaged.safetensors")
    return tmp_path / "damaged.safetensors"


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_number_that_is_not_finite_is_named_with_its_row(
    value: float, case: Case, streamed_capture: Capture, tmp_path: Path
) -> None:
    table = table_of(case, Linear(), damaged(case, tmp_path, 2345, value))
    out = tmp_path / "out"
    out.mkdir()
    with pytest.raises(TableError, match=rf"{NAME}: row 2345, column 3 is {value}"):
        to_coreml(streamed_capture, out / "m.mlpackage", tables=[table])
    with pytest.raises(TableError, match=rf"{NAME}: row 2345, column 3 is {value}"):
        to_onnx(streamed_capture, out / "m.onnx", tables=[table])
    assert not list(out.iterdir())


def test_a_number_beyond_float16_is_named_with_its_row(
    case: Case, streamed_capture: Capture, tmp_path: Path
) -> None:
    table = table_of(case, None, damaged(case, tmp_path, 2001, 70000.0))
    with pytest.raises(TableError, match=rf"{NAME}: row 2001, column 3 is 70000, beyond float16"):
        to_coreml(streamed_capture, tmp_path / "m.mlpackage", tables=[table])
    assert not (tmp_path / "m.mlpackage").exists()


def test_a_table_truncated_after_it_was_opened_leaves_nothing(
    case: Case, streamed_capture: Capture, tmp_path: Path
) -> None:
    weights = damaged(case, tmp_path, 0, 0.0)
    table = table_of(case, Linear(), weights)
    weights.write_bytes(weights.read_bytes()[: table.span.offset + 1000 * WIDTH * 4])
    with pytest.raises(RecipeError, match=f"damaged.safetensors: ends at row 1000 of {NAME}"):
        to_coreml(streamed_capture, tmp_path / "m.mlpackage", tables=[table])
    assert [each.name for each in tmp_path.iterdir()] == ["damaged.safetensors"]


@pytest.fixture
def _no_large_files() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.usefixtures("_no_large_files")
def test_a_disk_that_takes_no_more_is_one_line_and_leaves_nothing(
    case: Case, streamed_capture: Capture, tmp_path: Path
) -> None:
    table = table_of(case, Linear())
    with pytest.raises(StorageError, match=r"weight\.bin: File too large .*needs \d+ bytes") as caught:
        to_coreml(streamed_capture, tmp_path / "m.mlpackage", tables=[table])
    assert "\n" not in str(caught.value)
    with pytest.raises(StorageError, match=r"m\.onnx\.data: File too large"):
        to_onnx(streamed_capture, tmp_path / "m.onnx", tables=[table], large_bytes=8000)
    assert not list(tmp_path.iterdir())


def test_after_a_kill_in_the_middle_nothing_is_there_and_a_rerun_works(
    case: Case, streamed_capture: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table, path = table_of(case, Linear()), tmp_path / "m.mlpackage"
    whole = files(to_coreml(streamed_capture, tmp_path / "first.mlpackage", tables=[table]))
    child = os.fork()
    if not child:
        monkeypatch.setattr(coreml_seam, "write_tables", lambda *a: os.kill(os.getpid(), signal.SIGKILL))
        try:
            to_coreml(streamed_capture, path, tables=[table])
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status)
    assert not path.exists()
    assert list(tmp_path.glob(".partial-*"))
    to_coreml(streamed_capture, path, tables=[table])
    assert files(path) == whole
    assert not list(tmp_path.glob(".partial-*"))


def test_a_scheme_that_needs_the_whole_table_is_refused_by_name(case: Case) -> None:
    with pytest.raises(PlanError, match=rf"{NAME}: sparse needs the whole table at once"):
        table_of(case, Sparse())
    with pytest.raises(PlanError, match=rf"{NAME}: clipping 'search' per tensor"):
        table_of(case, Linear(granularity="per_tensor", clipping="search"))


def test_hot_rows_of_which_nobody_knows_how_hot_they_are_are_refused(case: Case) -> None:
    with pytest.raises(PlanError, match=rf"{NAME}: hot_rows needs to know how often rows are read"):
        encoded_by(table_of(case, None), HotRows())


def test_one_scale_for_the_table_is_found_in_a_first_pass(case: Case) -> None:
    (part,) = table_of(case, Linear(granularity="per_tensor")).parts
    values = case.module.get_parameter(NAME).numpy()
    whole = Linear(granularity="per_tensor").quantize(NAME, values)
    assert whole.codes is not None
    assert np.array_equal(part.codec.encode(values).codes, whole.codes)


@pytest.mark.parametrize(
    "scheme", [Linear(), HotRows(share=0.2, cold_bits=2), Product(), Product(basis="principal")]
)
def test_what_codes_stand_for_is_the_same_chunk_by_chunk(scheme: Scheme, case: Case) -> None:
    values = case.module.get_parameter(NAME).numpy()
    table = table_of(case, scheme)
    made = [table.values(values[start : start + 64], start) for start in range(0, ROWS, 64)]
    whole = scheme.quantize(NAME, values, usage=USAGE)
    assert np.array_equal(np.concatenate(made), whole.dequantize())


def test_a_constant_computed_from_a_table_is_refused_with_the_table(case: Case, tmp_path: Path) -> None:
    text = (case.folder / "factory.py").read_text()
    normalized = "user @ nn.functional.normalize(self.item.weight).T"
    (case.folder / "normal.py").write_text(text.replace("user @ self.item.weight.T", normalized))
    source = replace(case.source, factory="normal.py:make")
    streamed = load_streamed(source, base=case.folder)
    with pytest.raises(Refused, match=f"computes a constant from the streamed table {NAME}"):
        capture_streamed(streamed, case.contract, "main", case.probes)
