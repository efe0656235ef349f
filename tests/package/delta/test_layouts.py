"""Tensors are found where they lie in each kind of file, and a damaged file has none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.package.delta.bundles import COLUMNS, blobs, onnx, table

from pocketrec.package.delta.layouts import Part, parts_of

TABLE, CODES = table(64, {}), table(64, {}, dtype=np.int8)


def found(path: Path, data: bytes) -> dict[str, Part]:
    path.write_bytes(data)
    return {each.name: each for each in parts_of(path, np.frombuffer(data, np.uint8))}


def test_initializers_of_an_onnx_file_are_found_with_their_rows(tmp_path: Path) -> None:
    data = onnx({"small": np.ones(3, np.float32), "table": TABLE, "codes": CODES}, "")
    parts = found(tmp_path / "m.onnx", data)
    assert set(parts) == {"table", "codes"}
    assert data[parts["table"].start : parts["table"].end] == TABLE.tobytes()
    assert (parts["table"].width, parts["table"].row) == (4, 4 * COLUMNS)
    assert (parts["codes"].width, parts["codes"].row) == (1, COLUMNS)


def test_numbers_beside_an_onnx_file_are_found_by_what_it_says(tmp_path: Path) -> None:
    from onnx import TensorProto, helper

    tensor = TensorProto(name="table", data_type=10, dims=[64, 24], data_location="EXTERNAL")
    for key, value in (("location", "m.onnx.data"), ("offset", "4"), ("length", str(64 * 48))):
        tensor.external_data.add(key=key, value=value)
    graph = helper.make_graph([], "main", [], [], [tensor])
    (tmp_path / "m.onnx").write_bytes(helper.make_model(graph).SerializeToString())
    parts = found(tmp_path / "m.onnx.data", b"\0" * (4 + 64 * 48))
    assert parts == {"table": Part(name="table", start=4, end=4 + 64 * 48, width=2, row=48)}


def test_blobs_of_a_storage_are_found_by_type_and_turn(tmp_path: Path) -> None:
    data = blobs(CODES, TABLE.astype(np.float16), CODES)
    parts = found(tmp_path / "weight.bin", data)
    assert list(parts) == ["4/1", "1/1", "4/2"]
    assert data[parts["1/1"].start : parts["1/1"].end] == TABLE.astype(np.float16).tobytes()
    assert (parts["1/1"].width, parts["4/2"].width) == (2, 1)


def test_tensors_of_a_safetensors_file_are_found(tmp_path: Path) -> None:
    from safetensors.numpy import save

    data = save({"table": TABLE})
    part = found(tmp_path / "t.safetensors", data)["table"]
    assert data[part.start : part.end] == TABLE.tobytes()
    assert (part.width, part.row) == (4, 4 * COLUMNS)


@pytest.mark.parametrize("name", ["m.onnx", "weight.bin", "t.safetensors", "m.onnx.data", "a.txt"])
def test_a_file_of_other_bytes_has_no_tensors(name: str, tmp_path: Path) -> None:
    assert found(tmp_path / name, b"\x08\xff\xff\xff\xff" * 400) == {}


def test_places_beyond_the_file_are_no_tensors(tmp_path: Path) -> None:
    data = blobs(TABLE)
    assert found(tmp_path / "weight.bin", data[:2000]) == {}
