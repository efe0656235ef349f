"""A .pt2 file that holds anything but tensors, operators on them and sizes is refused before it is read."""

from __future__ import annotations

import json
import pickle
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from pocketrec.errors import UsageError
from pocketrec.source.exported import check_expression
from pocketrec.source.saved import load_saved

MODEL, WEIGHTS = "models/model.json", "data/weights/model_weights_config.json"
Files = dict[str, bytes]


class Tower(nn.Module):
    """Free sizes, a product of them, a branch, a dict of outputs and an operator that takes a text."""

    def __init__(self) -> None:
        super().__init__()
        self.items = nn.Embedding(20, 4)
        self.register_buffer("empty", torch.zeros(0, 3))

    def forward(self, ids: torch.Tensor, extra: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        rows = nn.functional.gelu(self.items(ids), approximate="tanh").reshape(ids.shape[0] * ids.shape[1], 4)
        branch = torch.cond(ids.sum() > 3, lambda x: x + 1, lambda x: x - 1, (extra["q"],))
        return {"rows": rows, "q": branch * ids.shape[0]}


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pt2") / "tower.pt2"
    batch, length = torch.export.Dim("batch", max=8), torch.export.Dim("length", max=9)
    example = (torch.ones(3, 4, dtype=torch.long), {"q": torch.ones(3)})
    shapes = ({0: batch, 1: length}, {"q": {0: batch}})
    torch.export.save(torch.export.export(Tower().eval(), example, dynamic_shapes=shapes), path)
    return path


def edited(saved: Path, path: Path, edit: Callable[[Files], object]) -> Path:
    """A copy of the archive after what the function did to its files."""
    with zipfile.ZipFile(saved) as archive:
        files = {name.partition("/")[2]: archive.read(name) for name in archive.namelist()}
    edit(files)
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(f"tower/{name}", data)
    return path


def test_an_exported_program_is_read_and_computes_the_same(saved: Path) -> None:
    module, given = load_saved(saved), (torch.tensor([[1, 2], [3, 4]]), {"q": torch.ones(2)})
    assert module(*given)["rows"].shape == (4, 4)
    torch.testing.assert_close(module(*given)["q"], torch.full((2,), 4.0))


def test_the_copy_is_read_where_nothing_is_changed(saved: Path, tmp_path: Path) -> None:
    load_saved(edited(saved, tmp_path / "m.pt2", lambda files: None))


def in_program(change: Callable[[dict[str, Any]], object]) -> Callable[[Files], object]:
    def edit(files: Files) -> None:
        program = json.loads(files[MODEL])
        change(program)
        files[MODEL] = json.dumps(program).encode()

    return edit


def tables(value: Any) -> Iterator[dict[str, Any]]:
    """All tables within a value."""
    if isinstance(value, dict):
        yield value
    for each in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from tables(each)


def first(value: Any, key: str) -> dict[str, Any]:
    """The first table that has a text by that key."""
    return next(each for each in tables(value) if isinstance(each.get(key), str))


def expression(program: dict[str, Any]) -> None:
    first(program, "expr_str")["expr_str"] = "__import__('os').system('touch ran')"


def operator(program: dict[str, Any]) -> None:
    first(program, "target")["target"] = "torch.os.system"


def reads_a_file(program: dict[str, Any]) -> None:
    first(program, "target")["target"] = "torch.ops.aten.from_file.default"


def loads_a_library(program: dict[str, Any]) -> None:
    first(program, "target")["target"] = "torch.ops.load_library"


def tree(program: dict[str, Any]) -> None:
    context = {"default_factory_module": "antigravity", "default_factory_name": "x", "dict_context": []}
    node = {"type": "collections.defaultdict", "context": json.dumps(context), "children_spec": []}
    first(program, "in_spec")["in_spec"] = json.dumps([1, node])


def enumeration(program: dict[str, Any]) -> None:
    context = [{"__enum__": True, "fqn": "antigravity:x", "name": "y"}]
    node = {"type": "builtins.dict", "context": json.dumps(context), "children_spec": []}
    first(program, "in_spec")["in_spec"] = json.dumps([1, node])


def symbol(program: dict[str, Any]) -> None:
    program["range_constraints"]["u99999999999"] = {"min_val": 0, "max_val": 1}


def payload(**entries: Any) -> Callable[[Files], object]:
    def edit(files: Files) -> None:
        table = json.loads(files[WEIGHTS])
        next(iter(table["config"].values())).update(entries)
        files[WEIGHTS] = json.dumps(table).encode()

    return edit


def huge(files: Files) -> None:
    table = json.loads(files[WEIGHTS])
    entry = table["config"]["empty"]
    entry["tensor_meta"]["sizes"] = [{"as_int": 1 << 40}]
    files[WEIGHTS] = json.dumps(table).encode()


FAULTS: dict[str, tuple[Callable[[Files], object], str]] = {
    "an expression that is code": (in_program(expression), 'the expression "__import__'),
    "an operator that is a function of Python": (in_program(operator), "the operator 'torch.os.system'"),
    "an operator that opens a file": (in_program(reads_a_file), "the operator 'torch.ops.aten.from_file"),
    "an operator that loads a library": (
        in_program(loads_a_library),
        "operator 'torch.ops.load_library'",
    ),
    "a tree that imports": (in_program(tree), "arguments of type 'collections.defaultdict'"),
    "a tree that names an enumeration": (in_program(enumeration), "arguments that name an enumeration"),
    "a symbol of a high number": (in_program(symbol), "a symbol called 'u99999999999'"),
    "a compiled library": (lambda files: files.update({"data/aotinductor/m/m.so": b""}), "no part of an"),
    "a custom object": (lambda files: files.update({"data/constants/custom_obj_0": b""}), "no part of an"),
    "an opaque object": (
        lambda files: files.update({"data/constants/opaque_obj_0": pickle.dumps(1)}),
        "no part of an",
    ),
    "weights of old": (lambda files: files.update({"data/weights/model.pt": b""}), "no part of an"),
    "a pickled weight": (payload(use_pickle=True), "a pickled or special tensor"),
    "a weight elsewhere": (payload(path_name="../../models/model.json"), "a pickled or special tensor"),
    "numbers out of nothing": (huge, r"\[1099511627776\] numbers in a file of 0 bytes"),
    "no program": (lambda files: files.pop(MODEL), "no exported program"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_may_run_code_is_refused_before_it_is_read(
    saved: Path, tmp_path: Path, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*arguments: object) -> None:
        raise AssertionError("PyTorch read the file")

    monkeypatch.setattr(torch.export, "load", never)
    edit, message = FAULTS[fault]
    with pytest.raises(UsageError, match=message):
        load_saved(edited(saved, tmp_path / "m.pt2", edit))


def test_an_archive_that_is_compressed_or_none_is_refused(saved: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(saved) as archive, zipfile.ZipFile(tmp_path / "m.pt2", "w", 8) as other:
        for name in archive.namelist():
            other.writestr(name, archive.read(name))
    with pytest.raises(UsageError, match="compressed or encrypted"):
        load_saved(tmp_path / "m.pt2")
    (tmp_path / "m.pt2").write_bytes(b"PK nothing")
    with pytest.raises(UsageError, match="no archive of an exported program"):
        load_saved(tmp_path / "m.pt2")


@pytest.mark.parametrize(
    "text",
    [
        "s0",
        "s27*8 - 1",
        "Mul(Integer(8), Symbol('s27', positive=True, integer=True))",
        "Max(1, s0//2)",
        "Pow(Symbol('s1', integer=True), Integer(-1))",
        "FloorDiv(Add(Symbol('u0', integer=True), Integer(3)), Integer(4))",
        "s0 <= 16",
        "Float('0.5', precision=53)",
        "True",
    ],
)
def test_an_expression_of_sizes_passes(text: str) -> None:
    check_expression(text, "m")


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os')",
        "print(1)",
        "s0.func",
        "(lambda: 0)()",
        "[s0 for s0 in (1,)]",
        "Symbol('__import__(1)')",
        "Symbol('s0', **{})",
        "Symbol('s0', integer=exec('1'))",
        "S('1')",
        "sympify('1')",
        "f'{s0}'",
        "Integer('9'*9)",
        "9**9**9",
        "Pow(Integer(9), Pow(Integer(9), Integer(9)))",
        "LShift(1, 9223372036854775807)",
        "Pow(Pow(Pow(s0, 64), 64), 64)",
        "9" * 5000,
        "(" * 3000,
        "-" * 3999 + "1",
        "",
        None,
        3,
    ],
)
def test_an_expression_that_is_anything_else_is_refused(text: object) -> None:
    with pytest.raises(UsageError, match="m: the expression"):
        check_expression(text, "m")
