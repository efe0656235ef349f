"""Checkpoints as places in files: every format gives the same rows, and a damaged one is named at once."""

from __future__ import annotations

import json
import os
import warnings
import zipfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from pocketrec.errors import RecipeError
from pocketrec.source.checkpoint import RowReader, open_checkpoint

pytestmark = pytest.mark.usefixtures("small_chunks")

TABLE = torch.arange(800, dtype=torch.float32).reshape(100, 8) / 7


def sharded(folder: Path, tensors: dict[str, Tensor]) -> Path:
    for name, tensor in tensors.items():
        save_file({name: tensor}, folder / f"{name}.safetensors")
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {name: f"{name}.safetensors" for name in tensors}}))
    return index


def written(kind: str, folder: Path) -> Path:
    tensors = {"small": torch.ones(3), "table": TABLE}
    if kind == "sharded":
        return sharded(folder, tensors)
    path = folder / f"weights.{kind}"
    if kind == "safetensors":
        save_file(tensors, path)
    elif kind == "pt":
        torch.save(tensors, path)
    else:
        path.mkdir()
        for name, tensor in tensors.items():
            np.save(path / f"{name}.npy", tensor.numpy())
    return path


@pytest.mark.parametrize("kind", ["safetensors", "sharded", "pt", "npy"])
def test_every_format_gives_the_rows_as_they_are(kind: str, tmp_path: Path) -> None:
    span = open_checkpoint(written(kind, tmp_path))["table"]
    with closing(RowReader(span)) as reader:
        rows = reader.read(10, 40, np.empty((64, 8), np.float32))
    assert np.array_equal(rows, TABLE[10:40].numpy())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_float_types_are_widened_as_torch_does(dtype: torch.dtype, tmp_path: Path) -> None:
    save_file({"table": TABLE.to(dtype)}, tmp_path / "w.safetensors")
    span = open_checkpoint(tmp_path / "w.safetensors")["table"]
    with closing(RowReader(span)) as reader:
        rows = reader.read(0, 100, np.empty((100, 8), np.float32))
    assert np.array_equal(rows, TABLE.to(dtype).float().numpy())


def test_a_missing_shard_is_named(tmp_path: Path) -> None:
    index = written("sharded", tmp_path)
    (tmp_path / "table.safetensors").unlink()
    with pytest.raises(RecipeError, match=r"table\.safetensors: no such file"):
        open_checkpoint(index)


@pytest.mark.parametrize("kind", ["safetensors", "sharded"])
def test_a_truncated_file_is_found_before_any_work(kind: str, tmp_path: Path) -> None:
    path = written(kind, tmp_path)
    shard = tmp_path / "table.safetensors" if kind == "sharded" else path
    whole = shard.read_bytes()
    shard.write_bytes(whole[:-100])
    expected = rf"{shard.name}: {len(whole) - 100} bytes, but table ends at byte {len(whole)}.*truncated"
    with pytest.raises(RecipeError, match=expected):
        open_checkpoint(path)


def test_a_file_that_ends_while_it_is_read_names_the_row(tmp_path: Path) -> None:
    path = written("safetensors", tmp_path)
    span = open_checkpoint(path)["table"]
    path.write_bytes(path.read_bytes()[: span.offset + 50 * 32])
    with closing(RowReader(span)) as reader, pytest.raises(RecipeError, match="ends at row 50 of table"):
        reader.read(40, 60, np.empty((64, 8), np.float32))


@pytest.mark.parametrize(
    "header",
    [
        b"\xff" * 8,
        b"\x10" + b"\x00" * 7 + b"no json at all!!",
        (80).to_bytes(8, "little")
        + json.dumps({"t": {"dtype": "F32", "shape": [-1, 4], "data_offsets": [0, 16]}}).encode().ljust(80),
        (80).to_bytes(8, "little")
        + json.dumps({"t": {"dtype": "F32", "shape": [9, 4], "data_offsets": [0, 16]}}).encode().ljust(80),
        (80).to_bytes(8, "little")
        + json.dumps({"t": {"dtype": "F32", "shape": [4.0, 4], "data_offsets": [0, 64]}}).encode().ljust(80),
        (80).to_bytes(8, "little")
        + json.dumps({"t": {"dtype": "F32", "shape": ["4"], "data_offsets": [0, 16]}}).encode().ljust(80),
        (80).to_bytes(8, "little")
        + json.dumps({"t": {"dtype": "F32", "shape": [4, 2], "data_offsets": [0, 32]}}).encode().ljust(80),
        (80).to_bytes(8, "little")
        + json.dumps({"t": {"dtype": "F32", "shape": [4, 3], "data_offsets": [16, 64]}}).encode().ljust(80),
        (20_000).to_bytes(8, "little") + b"[" * 20_000,
    ],
)
def test_a_hostile_header_is_an_error_in_one_line(header: bytes, tmp_path: Path) -> None:
    (tmp_path / "w.safetensors").write_bytes(header + b"\x00" * 64)
    with pytest.raises(RecipeError, match=r"w\.safetensors is no safetensors file") as caught:
        open_checkpoint(tmp_path / "w.safetensors")
    assert "\n" not in str(caught.value)


def test_an_index_may_not_lead_out_of_its_folder(tmp_path: Path) -> None:
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"t": "../other.safetensors"}}))
    with pytest.raises(RecipeError, match="expected a file beside it"):
        open_checkpoint(index)


def test_tensors_may_not_share_bytes(tmp_path: Path) -> None:
    entries = {name: {"dtype": "F32", "shape": [4, 4], "data_offsets": [0, 64]} for name in ("a", "b")}
    header = json.dumps(entries).encode()
    path = tmp_path / "w.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + b"\x00" * 64)
    with pytest.raises(RecipeError, match=r"w\.safetensors is no safetensors file \(b begins at byte"):
        open_checkpoint(path)


@pytest.mark.parametrize("shard", ["..", "", "a\0b"])
def test_a_shard_has_the_name_of_a_file(shard: str, tmp_path: Path) -> None:
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"t": shard}}))
    with pytest.raises(RecipeError, match="expected a file beside it"):
        open_checkpoint(index)


def test_a_pipe_in_a_shards_place_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "w.safetensors")
    with pytest.raises(RecipeError, match=r"w\.safetensors: a FIFO"):
        open_checkpoint(tmp_path / "w.safetensors")


def repacked(
    path: Path, change: Callable[[list[tuple[str, bytes]]], list[tuple[str, bytes]]], kind: int
) -> None:
    with zipfile.ZipFile(path) as archive:
        entries = [(each.filename, archive.read(each)) for each in archive.infolist()]
    with zipfile.ZipFile(path, "w", kind) as archive:
        for name, content in change(entries):
            archive.writestr(name, content)


def big_endian(entries: list[tuple[str, bytes]]) -> list[tuple[str, bytes]]:
    return [(name, b"big" if name.endswith("byteorder") else content) for name, content in entries]


def turned_around(entries: list[tuple[str, bytes]]) -> list[tuple[str, bytes]]:
    data = [each for each in entries if "/data/" in each[0]]
    return [each for each in entries if each not in data] + data[::-1]


@pytest.mark.parametrize(
    ("change", "kind", "message"),
    [
        (list, zipfile.ZIP_STORED, "does not lie where torch.save puts it"),
        (list, zipfile.ZIP_DEFLATED, "its tensors are compressed"),
        (big_endian, zipfile.ZIP_STORED, "big-endian order"),
        (turned_around, zipfile.ZIP_STORED, "in another order than torch.save puts them"),
    ],
)
def test_a_state_dict_that_was_packed_again_is_refused(
    change: Any, kind: int, message: str, tmp_path: Path
) -> None:
    path = written("pt", tmp_path)
    repacked(path, change, kind)
    with pytest.raises(RecipeError, match=message):
        open_checkpoint(path)


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"t": torch._neg_view(torch.ones(3))}, "t is not contiguous, or a view"),
        ({"t": torch.ones(3, 2).T}, "t is not contiguous, or a view"),
        ({"t": {"nested": torch.ones(3)}}, "t is a dict, expected a tensor"),
        ({"t": torch.ones(3, device="meta")}, "t does not lie where torch.save puts it"),
    ],
)
def test_a_state_dict_of_other_things_is_refused(state: Any, message: str, tmp_path: Path) -> None:
    torch.save(state, tmp_path / "w.pt")
    with pytest.raises(RecipeError, match=message):
        open_checkpoint(tmp_path / "w.pt")


@pytest.mark.parametrize("content", [b"PK\x03\x04", b"\x93NUMPY\x01\x00\x10\x00{'descr': ((((", b""])
def test_an_array_file_that_is_none_is_named(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "table.npy").write_bytes(content)
    with pytest.raises(RecipeError, match=r"table\.npy is no array of numbers"):
        open_checkpoint(tmp_path)


def test_what_float32_does_not_hold_is_infinite_without_a_warning(tmp_path: Path) -> None:
    save_file({"table": torch.tensor([[1e300, 1.0]], dtype=torch.float64)}, tmp_path / "w.safetensors")
    span = open_checkpoint(tmp_path / "w.safetensors")["table"]
    with warnings.catch_warnings(), closing(RowReader(span)) as reader:
        warnings.simplefilter("error")
        assert np.isinf(reader.read(0, 1, np.empty((1, 2), np.float32))[0, 0])


@pytest.mark.parametrize("name", ["w.npy", "w.index.json"])
def test_a_pipe_in_any_files_place_is_not_waited_for(name: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / name)
    with pytest.raises(RecipeError, match=rf"{name}: a FIFO, expected a regular file"):
        open_checkpoint(tmp_path if name.endswith(".npy") else tmp_path / name)


def test_complex_weights_are_named(tmp_path: Path) -> None:
    torch.save({"a": torch.ones(2), "phase": torch.ones(2, dtype=torch.complex64)}, tmp_path / "w.pt")
    with pytest.raises(RecipeError, match=r"phase is torch\.complex64, expected real numbers"):
        open_checkpoint(tmp_path / "w.pt")


def test_a_folder_without_arrays_is_no_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"is a folder without <tensor>\.npy files; name a checkpoint"):
        open_checkpoint(tmp_path)
